// The entry points of the per-row operators: shapes are checked, then the instruction set's version runs.
#include <cstring>

#include "kernels/cpu/row_kernels.h"
#include "kernels/kv_store.h"
#include "kernels/require.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace baton::kernels {
namespace {

const RowKernels& row_kernels(Isa isa) {
  return isa == Isa::avx512 ? kRowKernelsAvx512 : isa == Isa::avx2 ? kRowKernelsAvx2 : kRowKernelsScalar;
}

}  // namespace

void rms_norm(const RmsNorm& job, Isa isa) {
  BATON_REQUIRE(job.columns > 0, "a row has values");
  row_kernels(isa).rms_norm(job);
}

void rope(const Rope& job, Isa isa) {
  BATON_REQUIRE(2 * job.pairs <= job.head_dim, "the pairs lie within the head");
  row_kernels(isa).rope(job);
}

void swiglu(const Swiglu& job, Isa isa) {
  row_kernels(isa).swiglu(job);
}

void store_kv(const KvLayout& layout, std::byte* arena, std::uint32_t block, std::uint32_t token_in_block,
              const float* k, const float* v, Isa isa) {
  BATON_REQUIRE(token_in_block < layout.block_tokens, "a token lies inside its block");
  for (std::uint32_t head = 0; head < layout.kv_heads; ++head) {
    const std::size_t at[2] = {layout.k_element(block, head, token_in_block),
                               layout.v_element(block, head, token_in_block)};
    const float* const from[2] = {k + std::size_t{head} * layout.head_dim, v + std::size_t{head} * layout.head_dim};
    for (int half = 0; half < 2; ++half) {
      std::byte* const to = arena + at[half] * bytes_of(layout.type);
      if (layout.type == KvType::f32) {
        std::memcpy(to, from[half], layout.head_dim * sizeof(float));
      } else {
        row_kernels(isa).to_bf16(from[half], layout.head_dim, reinterpret_cast<std::uint16_t*>(to));
      }
    }
  }
}

}  // namespace baton::kernels
