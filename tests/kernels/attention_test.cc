#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "kernels/half.h"
#include "tests/kernels/lane_spec_helpers.h"
#include "tests/kernels/weight_helpers.h"

namespace baton::kernels {
namespace {

struct Shape {
  std::uint32_t heads, kv_heads, dim, block_tokens;
  KvType type;
};

const Shape kShapes[] = {
    {9, 3, 64, 16, KvType::bf16}, {4, 4, 128, 32, KvType::bf16}, {8, 1, 32, 64, KvType::bf16},
    {6, 2, 80, 16, KvType::f32},  {12, 2, 20, 16, KvType::bf16}, {14, 2, 48, 64, KvType::f32},
    {3, 3, 10, 32, KvType::f32},
};

struct Part {
  std::uint32_t first, rows;
};
// Single rows on both sides of blocks and chunks, a few rows, and chunks that cross the diagonal in several tiles.
const Part kParts[] = {{0, 1}, {15, 1}, {16, 1}, {63, 1}, {64, 1}, {130, 1}, {62, 4}, {0, 70}, {50, 3}, {100, 131}};

// K and V of one sequence, stored in scattered blocks of an arena that is full of NaN elsewhere.
struct Cache {
  KvLayout layout;
  std::vector<std::byte> arena;
  std::vector<std::uint32_t> blocks;
  std::vector<std::vector<float>> k, v;  // [kv_head], widened

  Cache(const Shape& shape, std::uint32_t tokens, std::uint64_t seed)
      : layout{.layers = 1,
               .kv_heads = shape.kv_heads,
               .head_dim = shape.dim,
               .block_tokens = shape.block_tokens,
               .type = shape.type} {
    const std::uint32_t count = layout.blocks_for(tokens);
    blocks.resize(count);
    std::iota(blocks.begin(), blocks.end(), 1);
    std::shuffle(blocks.begin(), blocks.end(), std::mt19937_64{seed});
    arena.assign((count + 2) * layout.block_bytes(), std::byte{0xff});
    for (std::uint32_t head = 0; head < shape.kv_heads; ++head) {
      for (const bool value : {false, true}) {
        auto x = random_floats(std::size_t{tokens} * shape.dim, seed + 2 * head + value, value ? 1.0f : 2.0f);
        for (std::uint32_t i = 0; i < x.size(); ++i) {
          const std::uint32_t token = i / shape.dim, block = blocks[token / shape.block_tokens],
                              at = token % shape.block_tokens;
          put((value ? layout.v_element(block, head, at) : layout.k_element(block, head, at)) + i % shape.dim, x[i]);
        }
        (value ? v : k).push_back(std::move(x));
      }
    }
  }
  void put(std::size_t element, float& value) {
    const std::uint16_t rounded = bf16_from_float(value);
    if (layout.type == KvType::bf16) value = float_from_bf16(rounded);
    if (layout.type == KvType::bf16) std::memcpy(arena.data() + element * 2, &rounded, 2);
    if (layout.type == KvType::f32) std::memcpy(arena.data() + element * 4, &value, 4);
  }
};

class AttentionBits : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!isa_present(GetParam())) GTEST_SKIP() << "this CPU has no " << to_string(GetParam());
  }
};

TEST_P(AttentionBits, are_those_of_the_contract_for_every_shape_of_rows) {
  for (const Shape& shape : kShapes) {
    for (const Part& part : kParts) {
      const Cache cache{shape, part.first + part.rows, 7 + part.first};
      const std::size_t width = std::size_t{shape.heads} * shape.dim, stride = width + 3;
      const auto q = random_floats(part.rows * stride, 3, 2.0f);
      std::vector<float> expected(part.rows * stride, 5.0f);
      for (std::uint32_t row = 0; row < part.rows; ++row) {
        for (std::uint32_t head = 0; head < shape.heads; ++head) {
          const auto from = q.begin() + static_cast<long>(row * stride + head * shape.dim);
          const std::uint32_t kv_head = head / (shape.heads / shape.kv_heads);
          const auto one =
              specified_attention({from, from + shape.dim}, cache.k[kv_head], cache.v[kv_head], part.first + row + 1);
          std::copy(one.begin(), one.end(), expected.begin() + static_cast<long>(row * stride + head * shape.dim));
        }
      }
      for (const unsigned threads : {1u, 3u}) {
        Parallel parallel{threads};
        AttentionWorkspace workspace;
        ASSERT_TRUE(workspace.reserve(cache.layout, shape.heads, threads));
        std::vector<float> out(expected.size(), 5.0f);
        const AttentionRows rows{
            .blocks = cache.blocks.data(), .first_position = part.first, .first_row = 0, .rows = part.rows};
        attention({.layout = cache.layout,
                   .arena = cache.arena.data(),
                   .heads = shape.heads,
                   .q = q.data(),
                   .q_stride = stride,
                   .out = out.data(),
                   .out_stride = stride,
                   .sequences = {&rows, 1}},
                  workspace, GetParam(), parallel);
        EXPECT_TRUE(equal_bits(out, expected))
            << shape.heads << '/' << shape.kv_heads << " heads of " << shape.dim << ", rows " << part.first << " + "
            << part.rows << ", " << threads << " threads";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, AttentionBits, testing::ValuesIn(kAllIsas),
                         [](const auto& info) { return std::string{to_string(info.param)}; });

}  // namespace
}  // namespace baton::kernels
