// What this machine can hold at all. The system may promise more than it has and end the process when the pages are touched, so
// whoever is about to fill memory by a size from a file or a flag asks first.
#pragma once

#include <cstddef>

namespace baton {

bool exceeds_memory(std::size_t bytes);

}  // namespace baton
