// How many file descriptors this process may have: a connection each. The soft limit of most systems, 1024, is for programs that
// call select(); this one does not, so it takes all that the hard limit gives.
#pragma once

#include <cstdint>

namespace baton {

struct DescriptorLimit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

DescriptorLimit descriptor_limit();

// Soft to hard; of this process and of the children that it starts from now on.
void raise_descriptor_limit();

}  // namespace baton
