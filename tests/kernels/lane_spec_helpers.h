// What the contracts of the row operators and of attention say, in plain floats and apart from the code that is tested.
#pragma once

#include <vector>

#include "kernels/attention.h"

namespace baton::kernels {

bool equal_bits(const std::vector<float>& a, const std::vector<float>& b);
float specified_fold(const float (&lanes)[16]);
float specified_exp(float x);

// One query head of one row: q [head_dim], K and V of its positions [0, count) widened, [position][head_dim].
std::vector<float> specified_attention(const std::vector<float>& q, const std::vector<float>& k,
                                       const std::vector<float>& v, std::size_t count);

}  // namespace baton::kernels
