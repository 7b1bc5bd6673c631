// The rule against Mooncake's two examples: LLaMA3-70B, a prefix of 8192 tokens.
#include "runtime/perf/reuse_rule.h"

#include <gtest/gtest.h>

#include "runtime/perf/kv_size.h"

namespace baton::perf {
namespace {

constexpr ReuseShape kLlama70bReuse{.layers = 80, .hidden = 8192, .query_heads_per_kv_head = 8};
constexpr double kA800 = 8 * 312e12, kH800 = 8 * 989e12;

TEST(ReuseRule, asks_for_the_bandwidth_that_mooncake_states) {
  EXPECT_NEAR(least_bandwidth(kLlama70bReuse, 8192, kA800) / 1e9, 5.86, 0.005);
  EXPECT_NEAR(least_bandwidth(kLlama70bReuse, 8192, kH800) / 1e9, 18.6, 0.05);
}

TEST(ReuseRule, is_the_papers_closed_form) {
  for (const double p : {1.0, 512.0, 8192.0, 131072.0}) {
    const double d = kLlama70bReuse.hidden, closed = kA800 * 2 * d * 2 / (8 * (4 * p * d + 22 * d * d));
    EXPECT_NEAR(least_bandwidth(kLlama70bReuse, p, kA800), closed, closed * 1e-12);
  }
}

TEST(ReuseRule, does_not_depend_on_the_depth_and_asks_for_less_the_longer_the_prefix) {
  ReuseShape deeper = kLlama70bReuse;
  deeper.layers = 160;
  EXPECT_EQ(least_bandwidth(deeper, 8192, kA800), least_bandwidth(kLlama70bReuse, 8192, kA800));
  EXPECT_LT(least_bandwidth(kLlama70bReuse, 16384, kA800), least_bandwidth(kLlama70bReuse, 8192, kA800));
}

TEST(ReuseRule, moves_the_bytes_that_the_model_keeps) {
  EXPECT_EQ(reused_bytes(kLlama70bReuse, 8192), 8192.0 * kv_bytes_per_token({.layers = 80, .kv_heads = 8, .head_size = 128}));
}

TEST(ReuseRule, is_strict_and_judges_by_the_slowest_link) {
  const double least = least_bandwidth(kLlama70bReuse, 8192, kA800);
  EXPECT_FALSE(worth_fetching(kLlama70bReuse, 8192, kA800, {.network = least, .host_to_device = 128e9}));
  EXPECT_TRUE(worth_fetching(kLlama70bReuse, 8192, kA800, {.network = least * 1.0001, .host_to_device = 128e9}));
  EXPECT_FALSE(worth_fetching(kLlama70bReuse, 8192, kA800, {.network = 100e9, .host_to_device = least}));
  EXPECT_FALSE(worth_fetching(kLlama70bReuse, 0, kA800, {.network = 100e9, .host_to_device = 128e9}));
  EXPECT_TRUE(worth_fetching(kLlama70bReuse, 8192, kH800, {.network = 800e9 / 8, .host_to_device = 128e9}));
  EXPECT_FALSE(worth_fetching(kLlama70bReuse, 8192, kH800, {.network = 100e9 / 8, .host_to_device = 128e9}));
}

}  // namespace
}  // namespace baton::perf
