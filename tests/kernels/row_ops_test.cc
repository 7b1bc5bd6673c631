// The per-row operators against their contracts, written out here once more in plain floats, on every instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/lane_math.h"
#include "kernels/half.h"
#include "kernels/kv_store.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"
#include "tests/kernels/lane_spec_helpers.h"
#include "tests/kernels/weight_helpers.h"

namespace baton::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kSizes[] = {1, 2, 8, 15, 16, 17, 33, 64, 576, 1000};

class RowOps : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!isa_present(GetParam())) GTEST_SKIP() << "this CPU has no " << to_string(GetParam());
  }
};

TEST_P(RowOps, rms_norm_gives_the_bits_of_its_contract_in_place_too) {
  for (const std::size_t columns : kSizes) {
    const std::size_t rows = 3, stride = columns + 5;
    const auto x = random_floats(rows * stride, columns), weight = random_floats(columns, 2);
    auto expected = x;
    for (std::size_t r = 0; r < rows; ++r) {
      float lanes[16] = {};
      for (std::size_t i = 0; i < columns; ++i)
        lanes[i % 16] = std::fma(x[r * stride + i], x[r * stride + i], lanes[i % 16]);
      const float factor = 1.0f / std::sqrt(specified_fold(lanes) / static_cast<float>(columns) + 1e-5f);
      for (std::size_t i = 0; i < columns; ++i) expected[r * stride + i] = (x[r * stride + i] * factor) * weight[i];
    }
    auto out = x, in_place = x;
    for (auto* to : {&out, &in_place}) {
      rms_norm({.x = to == &out ? x.data() : to->data(),
                .x_stride = stride,
                .rows = rows,
                .columns = columns,
                .weight = weight.data(),
                .epsilon = 1e-5f,
                .out = to->data(),
                .out_stride = stride},
               GetParam());
      EXPECT_TRUE(equal_bits(*to, expected)) << columns;
    }
  }
}

TEST_P(RowOps, rope_turns_the_pairs_of_each_head_and_leaves_the_rest) {
  for (const std::size_t pairs : {1u, 5u, 8u, 16u, 24u, 32u, 64u}) {
    const std::size_t dim = 2 * pairs + 6, heads = 3;
    const auto x = random_floats(heads * dim, pairs), cos = random_floats(pairs, 3), sin = random_floats(pairs, 4);
    auto expected = x, out = x;
    for (std::size_t head = 0; head < heads; ++head) {
      for (std::size_t i = 0; i < pairs; ++i) {
        const float a = x[head * dim + i], b = x[head * dim + pairs + i];
        const float left[2] = {a * cos[i], b * sin[i]}, right[2] = {a * sin[i], b * cos[i]};
        expected[head * dim + i] = left[0] - left[1];
        expected[head * dim + pairs + i] = right[0] + right[1];
      }
    }
    rope({.x = out.data(), .heads = heads, .head_dim = dim, .pairs = pairs, .cos = cos.data(), .sin = sin.data()},
         GetParam());
    EXPECT_TRUE(equal_bits(out, expected)) << pairs;
  }
}

TEST_P(RowOps, swiglu_gives_the_bits_of_its_contract_and_writes_nothing_beside) {
  for (const std::size_t columns : kSizes) {
    const std::size_t rows = 2;
    auto in = random_floats(rows * 2 * columns, columns, 8.0f);
    for (std::size_t i = 0; i < in.size(); i += 7) in[i] *= 20.0f;
    std::vector<float> out(rows * (columns + 3), 5.0f);
    auto expected = out;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < columns; ++i) {
        const float gate = in[r * 2 * columns + i], up = in[r * 2 * columns + columns + i];
        expected[r * (columns + 3) + i] = (gate / (1.0f + specified_exp(0.0f - gate))) * up;
      }
    }
    swiglu({.gate = in.data(),
            .up = in.data() + columns,
            .in_stride = 2 * columns,
            .rows = rows,
            .columns = columns,
            .out = out.data(),
            .out_stride = columns + 3},
           GetParam());
    EXPECT_TRUE(equal_bits(out, expected)) << columns;
  }
}

TEST_P(RowOps, swiglu_keeps_what_is_not_a_number_and_saturates_elsewhere) {
  const std::vector<float> gate{kNan, 1.0f, -kInfinity, -1000.0f, 1000.0f, 3e38f, -3e38f, 0.0f, -0.0f},
      up(gate.size(), 1.0f);
  std::vector<float> out(gate.size());
  swiglu({.gate = gate.data(),
          .up = up.data(),
          .in_stride = 0,
          .rows = 1,
          .columns = gate.size(),
          .out = out.data(),
          .out_stride = 0},
         GetParam());
  EXPECT_TRUE(std::isnan(out[0]));
  EXPECT_NEAR(out[1], 0.7310586f, 1e-6f);
  EXPECT_EQ(out[4], 1000.0f);
  EXPECT_EQ(out[5], 3e38f);
  EXPECT_NEAR(out[3], 0.0f, 1e-30f);
  EXPECT_EQ(out[7], 0.0f);
  EXPECT_EQ(out[8], 0.0f);
}

TEST_P(RowOps, store_kv_rounds_to_nearest_even_and_puts_each_head_where_the_layout_says) {
  std::mt19937 random{9};
  for (const KvType type : {KvType::bf16, KvType::f32}) {
    for (const std::uint32_t dim : {10u, 16u, 64u, 100u}) {
      const KvLayout layout{.layers = 1, .kv_heads = 3, .head_dim = dim, .block_tokens = 16, .type = type};
      std::vector<float> k(3 * dim), v(3 * dim);
      for (auto* x : {&k, &v}) {
        for (float& value : *x)
          value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));  // every exponent, NaN too
      }
      std::vector<std::byte> arena(4 * layout.block_bytes()), expected(arena.size());
      for (std::uint32_t head = 0; head < 3; ++head) {
        for (std::uint32_t d = 0; d < dim; ++d) {
          const std::pair<std::size_t, float> values[] = {{layout.k_element(2, head, 7) + d, k[head * dim + d]},
                                                          {layout.v_element(2, head, 7) + d, v[head * dim + d]}};
          for (const auto& [at, value] : values) {
            const std::uint16_t rounded = bf16_from_float(value);
            if (type == KvType::bf16) std::memcpy(expected.data() + at * 2, &rounded, 2);
            if (type == KvType::f32) std::memcpy(expected.data() + at * 4, &value, 4);
          }
        }
      }
      store_kv(layout, arena.data(), 2, 7, k.data(), v.data(), GetParam());
      EXPECT_EQ(arena, expected) << dim;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, RowOps, testing::ValuesIn(kAllIsas),
                         [](const auto& info) { return std::string{to_string(info.param)}; });

TEST(Exp, is_within_two_units_of_the_last_place_and_exact_at_zero) {
  double worst = 0.0;
  for (double x = -86.0; x <= 88.0; x += 0.00037) {
    const float rounded = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(rounded));
    worst = std::max(worst, std::abs(exp(LanesScalar::set(rounded)).at[3] - exact) / exact);
  }
  EXPECT_LT(worst, 2 * 0x1p-24 * 2);
  EXPECT_EQ(exp(LanesScalar::set(0.0f)).at[0], 1.0f);
  EXPECT_TRUE(std::isnan(exp(LanesScalar::set(kNan)).at[0]));
  EXPECT_LT(exp(LanesScalar::set(-kInfinity)).at[0], 1e-37f);
}

}  // namespace
}  // namespace baton::kernels
