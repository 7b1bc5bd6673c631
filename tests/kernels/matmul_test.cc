#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/half.h"
#include "tests/kernels/weight_helpers.h"

namespace baton::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Shape {
  std::size_t rows, columns;
};

// Row counts on both sides of a panel's 16; columns of the smallest size, and of one that float types alone allow.
std::vector<Shape> shapes(WeightType type) {
  const std::size_t block = values_of_block(type);
  if (block == 1) return {{1, 1}, {16, 96}, {17, 160}, {80, 33}, {5, 7}};
  return {{1, block}, {16, 2 * block}, {15, block}, {33, 3 * block}, {80, block == 32 ? 576u : 512u}};
}

std::vector<float> product(const PackedWeight& weight, const std::vector<float>& x, std::size_t rows, Isa isa, unsigned threads = 1) {
  Parallel parallel{threads};
  Activations activations;
  activations.set(activation_kind(weight.type), x.data(), weight.columns, rows, weight.columns, isa, parallel);
  std::vector<float> out(rows * weight.rows, kNan);
  matmul(weight, activations, {.data = out.data(), .stride = weight.rows}, isa, parallel);
  return out;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

using Case = std::tuple<WeightType, Isa>;
class Matmul : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!isa_present(isa())) GTEST_SKIP() << "this CPU has no " << to_string(isa());
  }
  WeightType type() const { return std::get<0>(GetParam()); }
  Isa isa() const { return std::get<1>(GetParam()); }
};

class QuantizedMatmul : public Matmul {};

TEST_P(Matmul, gives_the_bits_of_the_written_specification) {
  for (const Shape shape : shapes(type())) {
    const Bytes rows = random_rows(type(), shape.rows, shape.columns, 1);
    const WeightRows part{rows.data(), shape.rows};
    const Packed matrix = packed(type(), shape.columns, {&part, 1});
    const auto x = random_floats(3 * shape.columns, 2);
    std::vector<float> expected(3 * shape.rows);
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t n = 0; n < shape.rows; ++n) {
        const std::byte* const row = rows.data() + n * bytes_of_row(type(), shape.columns);
        expected[r * shape.rows + n] = specified_product(type(), row, x.data() + r * shape.columns, shape.columns);
      }
    }
    EXPECT_TRUE(same_bits(product(matrix.weight, x, 3, isa()), expected)) << shape.rows << " x " << shape.columns;
  }
}

TEST_P(Matmul, gives_a_row_the_same_bits_in_every_batch_on_any_number_of_threads) {
  const std::size_t columns = is_float(type()) ? 161 : 512, outputs = 85, most = 33;
  const Bytes rows = random_rows(type(), outputs, columns, 3);
  const WeightRows part{rows.data(), outputs};
  const Packed matrix = packed(type(), columns, {&part, 1});
  const auto x = random_floats(most * columns, 4);
  std::vector<float> alone;
  for (std::size_t r = 0; r < most; ++r) {
    const auto row = product(matrix.weight, {x.begin() + static_cast<long>(r * columns), x.begin() + static_cast<long>((r + 1) * columns)},
                             1, Isa::scalar);
    alone.insert(alone.end(), row.begin(), row.end());
  }
  for (std::size_t batch = 1; batch <= most; ++batch) {
    const std::vector<float> expected{alone.begin(), alone.begin() + static_cast<long>(batch * outputs)};
    for (const unsigned threads : {1u, 2u, 3u}) {
      EXPECT_TRUE(same_bits(product(matrix.weight, x, batch, isa(), threads), expected)) << batch << " rows, " << threads << " threads";
    }
  }
}

TEST_P(Matmul, is_near_the_exact_product) {
  const std::size_t columns = 768, outputs = 20;
  const Bytes rows = random_rows(type(), outputs, columns, 5);
  const WeightRows part{rows.data(), outputs};
  const Packed matrix = packed(type(), columns, {&part, 1});
  const auto x = random_floats(columns, 6);
  const auto out = product(matrix.weight, x, 1, isa());
  // Rounding errors of activations are at most 1/254 of a piece's largest and average out; float weights round only the sums.
  const double allowed = is_float(type()) ? 1e-6 : 2e-3;
  for (std::size_t n = 0; n < outputs; ++n) {
    double magnitude;
    const double exact = exact_product(type(), rows.data() + n * bytes_of_row(type(), columns), x.data(), columns, magnitude);
    EXPECT_NEAR(out[n], exact, allowed * magnitude) << n;
  }
}

TEST_P(Matmul, computes_stacked_matrices_as_if_each_were_alone) {
  const std::size_t columns = 256;
  const std::size_t counts[] = {37, 11, 11};
  std::vector<Bytes> bytes;
  std::vector<WeightRows> parts;
  for (const std::size_t count : counts) {
    bytes.push_back(random_rows(type(), count, columns, 10 + parts.size()));
    parts.push_back({bytes.back().data(), count});
  }
  const Packed stacked = packed(type(), columns, parts, 2);
  const auto x = random_floats(columns, 7);
  const auto all = product(stacked.weight, x, 1, isa());
  std::vector<float> expected;
  for (const WeightRows& part : parts) {
    const auto one = product(packed(type(), columns, {&part, 1}).weight, x, 1, isa());
    expected.insert(expected.end(), one.begin(), one.end());
  }
  EXPECT_TRUE(same_bits(all, expected));
}

TEST_P(Matmul, adds_to_the_output_when_it_accumulates_and_touches_nothing_beside_it) {
  const std::size_t columns = 256, outputs = 21, batch = 11, stride = 40;
  const Bytes rows = random_rows(type(), outputs, columns, 8);
  const WeightRows part{rows.data(), outputs};
  const Packed matrix = packed(type(), columns, {&part, 1});
  const auto x = random_floats(batch * columns, 9);
  const auto plain = product(matrix.weight, x, batch, isa());
  const auto before = random_floats(batch * stride, 11);
  auto out = before;
  Parallel parallel{2};
  Activations activations;
  activations.set(activation_kind(type()), x.data(), columns, batch, columns, isa(), parallel);
  matmul(matrix.weight, activations, {.data = out.data(), .stride = stride, .accumulate = true}, isa(), parallel);
  for (std::size_t r = 0; r < batch; ++r) {
    for (std::size_t n = 0; n < stride; ++n) {
      const float was = before[r * stride + n];
      ASSERT_EQ(out[r * stride + n], n < outputs ? was + plain[r * outputs + n] : was) << r << ' ' << n;
    }
  }
}

// All quants at their ends, with activations of full size: where 16-bit sums would overflow.
TEST_P(QuantizedMatmul, is_exact_at_the_ends_of_the_quants_range) {
  const std::size_t columns = 512, outputs = 16, block = bytes_of_block(type());
  for (const unsigned fill : {0x00u, 0xffu, 0x80u, 0x7fu, 0xf0u, 0x0fu}) {
    Bytes rows(outputs * bytes_of_row(type(), columns), static_cast<std::byte>(fill));
    for (std::size_t at = 0; at < rows.size(); at += block) {
      const std::uint16_t one = half_from_float(1.0f), two = half_from_float(-2.0f);
      std::memcpy(rows.data() + at + (type() == WeightType::q6_k ? 208 : 0), &one, 2);
      if (type() == WeightType::q4_1 || type() == WeightType::q4_k || type() == WeightType::q5_k) {
        std::memcpy(rows.data() + at + 2, &two, 2);
      }
    }
    const WeightRows part{rows.data(), outputs};
    const Packed matrix = packed(type(), columns, {&part, 1});
    for (const int pattern : {0, 1, 2}) {
      std::vector<float> x(columns, 127.0f);
      for (std::size_t k = 0; k < columns; ++k) {
        if (pattern == 1 || (pattern == 2 && k % 2 == 1)) x[k] = -127.0f;
      }
      const std::vector<float> expected(outputs, specified_product(type(), rows.data(), x.data(), columns));
      EXPECT_TRUE(same_bits(product(matrix.weight, x, 1, isa()), expected)) << fill << ' ' << pattern;
    }
  }
}

TEST_P(Matmul, makes_only_that_row_nan_whose_activations_are_not_finite) {
  const std::size_t columns = 256, outputs = 18, batch = 9;
  const Bytes rows = random_rows(type(), outputs, columns, 12);
  const WeightRows part{rows.data(), outputs};
  const Packed matrix = packed(type(), columns, {&part, 1});
  auto x = random_floats(batch * columns, 13);
  const auto clean = product(matrix.weight, x, batch, isa());
  x[4 * columns + 70] = kNan;
  x[7 * columns + 3] = kInfinity;
  x[7 * columns + 4] = -kInfinity;
  const auto out = product(matrix.weight, x, batch, isa());
  for (std::size_t r = 0; r < batch; ++r) {
    for (std::size_t n = 0; n < outputs; ++n) {
      if (r == 4) {
        EXPECT_TRUE(std::isnan(out[r * outputs + n])) << n;
      } else if (r == 7) {
        EXPECT_FALSE(std::isfinite(out[r * outputs + n])) << n;
      } else {
        EXPECT_EQ(out[r * outputs + n], clean[r * outputs + n]) << r << ' ' << n;
      }
    }
  }
}

TEST_P(Matmul, treats_vanishing_activations_and_scales_as_the_specification_does) {
  const std::size_t columns = 256, outputs = 16;
  Bytes rows = random_rows(type(), outputs, columns, 14);
  if (!is_float(type())) {   // one row with zero scales, one with subnormal ones
    const std::size_t bytes = bytes_of_row(type(), columns), block = bytes_of_block(type());
    for (std::size_t n : {3u, 5u}) {
      for (std::size_t at = n * bytes; at < (n + 1) * bytes; at += block) {
        const std::uint16_t half = n == 3 ? 0 : 0x0001;
        std::memcpy(rows.data() + at + (type() == WeightType::q6_k ? 208 : 0), &half, 2);
      }
    }
  }
  const WeightRows part{rows.data(), outputs};
  const Packed matrix = packed(type(), columns, {&part, 1});
  for (const float size : {0.0f, 1e-45f, 1e-38f, 0x1p-101f, 0x1p-100f, 1e30f}) {
    auto x = random_floats(columns, 15, 1.0f);
    for (float& value : x) value = std::max(-1.0f, std::min(1.0f, value)) * size;
    std::vector<float> expected(outputs);
    for (std::size_t n = 0; n < outputs; ++n) {
      expected[n] = specified_product(type(), rows.data() + n * bytes_of_row(type(), columns), x.data(), columns);
    }
    EXPECT_TRUE(same_bits(product(matrix.weight, x, 1, isa()), expected)) << size;
  }
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  return std::string{to_string(std::get<0>(info.param))} + "_" + to_string(std::get<1>(info.param));
}

constexpr std::size_t kFloatTypes = 3;   // they come first
INSTANTIATE_TEST_SUITE_P(Kernels, Matmul, testing::Combine(testing::ValuesIn(kAllWeightTypes), testing::ValuesIn(kAllIsas)), name_of);
INSTANTIATE_TEST_SUITE_P(Kernels, QuantizedMatmul,
                         testing::Combine(testing::ValuesIn(std::begin(kAllWeightTypes) + kFloatTypes, std::end(kAllWeightTypes)),
                                          testing::ValuesIn(kAllIsas)),
                         name_of);

TEST(Activations, are_quantised_to_the_same_bytes_by_every_isa) {
  const std::size_t columns = 32 * 40, rows = 13;
  auto x = random_floats(rows * columns, 20);
  const float specials[] = {0.0f, -0.0f, 1e-45f, -1e-38f, 3e38f, -3.4028235e38f, kInfinity, kNan, 0x1p-100f, 0.5f, 1.5f, 126.5f, 127.0f};
  for (std::size_t i = 0; i < 400; ++i) x[i * 37 % x.size()] = specials[i % std::size(specials)];
  for (std::size_t k = 0; k < 32; ++k) x[5 * columns + k] = static_cast<float>(k) + 0.5f - 16.0f;   // ties
  x[5 * columns + 31] = 127.0f;
  Parallel parallel{1};
  std::vector<Bytes> all;
  for (const Isa isa : kAllIsas) {
    if (!isa_present(isa)) continue;
    Activations activations;
    activations.set(ActivationKind::int8, x.data(), columns, rows, columns, isa, parallel);
    all.emplace_back(activations.data(), activations.data() + rows * activations.bytes_of_one_row());
    EXPECT_EQ(all.back(), all.front()) << to_string(isa);
  }
}

TEST(Isa, has_names_that_are_read_back_and_a_best_that_is_present) {
  for (const Isa isa : kAllIsas) EXPECT_EQ(parse_isa(to_string(isa)), isa);
  EXPECT_EQ(parse_isa("sse9"), std::nullopt);
  EXPECT_TRUE(isa_present(Isa::scalar));
  EXPECT_TRUE(isa_present(best_isa()));
}

TEST(PackedWeight, holds_no_more_bytes_than_the_file_for_whole_panels) {
  for (const WeightType type : kAllWeightTypes) {
    EXPECT_EQ(packed_bytes(type, 960, 1536), 960 * bytes_of_row(type, 1536)) << to_string(type);
  }
}

}  // namespace
}  // namespace baton::kernels
