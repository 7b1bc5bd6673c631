// Rotary position embedding of `heads` adjacent heads of one token, in place: the pair (i, i + pairs) of each head, i <
// pairs, turns by the token's angle i. Values from 2 * pairs on stay. (A model that pairs neighbours has its rows
// reordered when it is loaded.)
//   x         [heads][head_dim] fp32
//   cos, sin  [pairs] fp32, of the token's position
//
// Order of operations: a' = a * cos - b * sin, b' = a * sin + b * cos, each product and sum rounded once.
// Source: Su et al., RoFormer, 2021; the pairing of halves is the one of Hugging Face's models.
#pragma once

#include <cstddef>

#include "kernels/isa.h"

namespace baton::kernels {

struct Rope {
  float* x = nullptr;
  std::size_t heads = 0;
  std::size_t head_dim = 0;
  std::size_t pairs = 0;  // 2 * pairs <= head_dim
  const float* cos = nullptr;
  const float* sin = nullptr;
};
void rope(const Rope& job, Isa isa);  // on the calling thread

}  // namespace baton::kernels
