// Writes one token's K and V of one layer into its block (kv_layout.h), rounded to the cache's type: bf16 to nearest,
// ties to even, subnormals kept, a NaN stays one; f32 as it is. Attention reads only what is stored here, of the
// present chunk too.
//   k, v   [kv_heads][head_dim] fp32; k after its rotation
//   arena  of the layer
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/kv_layout.h"

namespace baton::kernels {

void store_kv(const KvLayout& layout, std::byte* arena, std::uint32_t block, std::uint32_t token_in_block,
              const float* k, const float* v, Isa isa);

}  // namespace baton::kernels
