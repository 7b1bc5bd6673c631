// The environment's variables that are no flag. Those who start nodes look at them first, so that a misspelt one is refused and not
// overlooked.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/result.h"

namespace baton {

struct NodeVariables {
  std::string isa;                        // BATON_ISA: scalar, avx2 or avx512; empty: the best that the CPU has
  std::uint64_t flip_bit_in_piece = 0;    // BATON_FAULT=flip_bit:N, of the Nth piece that this process sends; 0: no fault
};

// Errors: invalid_argument, which names the variable and what it may be.
Result<NodeVariables> node_variables();

}  // namespace baton
