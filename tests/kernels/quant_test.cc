#include "kernels/quant.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/half.h"
#include "tests/kernels/gguf_vectors.h"
#include "tests/kernels/weight_helpers.h"

namespace baton::kernels {
namespace {

Bytes from_hex(const std::string& text) {
  Bytes bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

TEST(Dequantize, reads_every_quantised_format_as_the_gguf_package_does) {
  for (const GgufVector& vector : kGgufVectors) {
    const Bytes row = from_hex(vector.row), values = from_hex(vector.values);
    std::vector<float> expected(values.size() / 4), out(values.size() / 4);
    std::memcpy(expected.data(), values.data(), values.size());
    ASSERT_EQ(row.size(), bytes_of_row(vector.type, out.size())) << to_string(vector.type);
    dequantize_row(vector.type, row.data(), out.size(), out.data());
    EXPECT_EQ(out, expected) << to_string(vector.type);
  }
}

TEST(Dequantize, reads_float_types_exactly_at_any_alignment) {
  const float values[] = {0.0f, 1.0f, -2.5f, 0.099975586f, 65504.0f, 5.9604645e-8f};
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
    Bytes bytes(1 + std::size(values) * bytes_of_block(type));
    std::vector<float> expected;
    for (std::size_t i = 0; i < std::size(values); ++i) {
      const std::uint16_t two = type == WeightType::f16 ? half_from_float(values[i]) : bf16_from_float(values[i]);
      if (type == WeightType::f32) {
        std::memcpy(bytes.data() + 1 + i * 4, &values[i], 4);
        expected.push_back(values[i]);
      } else {
        std::memcpy(bytes.data() + 1 + i * 2, &two, 2);
        expected.push_back(type == WeightType::f16 ? float_from_half(two) : float_from_bf16(two));
      }
    }
    std::vector<float> out(std::size(values));
    dequantize_row(type, bytes.data() + 1, out.size(), out.data());
    EXPECT_EQ(out, expected) << to_string(type);
  }
}

// The nearest of all halves, ties to the even one, found by looking at the two neighbours.
TEST(Half, rounds_to_the_nearest_and_keeps_every_half) {
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_half(half), next = bits == 0x7bff ? 65536.0f : float_from_half(static_cast<std::uint16_t>(bits + 1));
    ASSERT_EQ(half_from_float(value), half);
    ASSERT_EQ(half_from_float(-value), half | 0x8000u);
    const float middle = (value + next) / 2;
    ASSERT_EQ(half_from_float(middle), bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(half_from_float(std::bit_cast<float>(std::bit_cast<std::uint32_t>(middle) - 1)), bits) << bits;
    ASSERT_EQ(half_from_float(std::bit_cast<float>(std::bit_cast<std::uint32_t>(middle) + 1)), bits + 1) << bits;
  }
  EXPECT_EQ(float_from_half(0x7c00), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(float_from_half(0x7c01)));
  EXPECT_EQ(half_from_float(1e30f), 0x7c00);
  EXPECT_EQ(half_from_float(1e-30f), 0);
}

TEST(Bf16, rounds_to_the_nearest_even_and_keeps_infinity_and_nan) {
  EXPECT_EQ(bf16_from_float(1.0f), 0x3f80);
  EXPECT_EQ(bf16_from_float(std::bit_cast<float>(0x3f808000u)), 0x3f80);   // a tie, to even
  EXPECT_EQ(bf16_from_float(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(bf16_from_float(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(bf16_from_float(3.4028235e38f), 0x7f80);
  EXPECT_EQ(bf16_from_float(-std::numeric_limits<float>::infinity()), 0xff80);
  EXPECT_TRUE(std::isnan(float_from_bf16(bf16_from_float(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace baton::kernels
