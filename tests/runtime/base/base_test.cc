#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/base/ids.h"
#include "runtime/base/random.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {
namespace {

using Tokens = std::vector<TokenId>;

// Digests travel between nodes and so must be XXH3 itself, not merely a hash. Values of xxHash's own 0.8 implementation.
TEST(Hash, is_xxh3) {
  EXPECT_EQ(hash64(std::string_view{}), 0x2d06800538d394c2u);
  EXPECT_EQ(hash64(std::string_view{"a"}), 0xe6c632b61e964e1fu);
}

TEST(Hash, chain_depends_on_parent_tokens_and_their_order) {
  const Hash128 root{}, other{1, 0};
  const Hash128 h = chain_hash(root, Tokens{1, 2, 3});
  EXPECT_EQ(h, chain_hash(root, Tokens{1, 2, 3}));
  EXPECT_NE(h, chain_hash(other, Tokens{1, 2, 3}));
  EXPECT_NE(h, chain_hash(root, Tokens{2, 1, 3}));
  EXPECT_NE(h, chain_hash(root, Tokens{1, 2}));
  EXPECT_NE(chain_hash(h, Tokens{4}), chain_hash(root, Tokens{1, 2, 3, 4}));
}

TEST(Hash, digest_seed_tells_apart_model_prefix_and_layer) {
  const Hash128 prefix = chain_hash({}, Tokens{1});
  const std::set<std::uint64_t> seeds{digest_seed(1, prefix, 0), digest_seed(2, prefix, 0), digest_seed(1, prefix, 1),
                                      digest_seed(1, chain_hash({}, Tokens{2}), 0)};
  EXPECT_EQ(seeds.size(), 4u);
}

TEST(Hash, root_digest_depends_on_slot_order_and_is_never_the_off_value) {
  EXPECT_NE(root_digest(std::array<std::uint64_t, 2>{1, 2}), root_digest(std::array<std::uint64_t, 2>{2, 1}));
  EXPECT_NE(root_digest({}), 0u);
}

TEST(Random, is_a_function_of_its_key_alone) {
  EXPECT_EQ(draw64(1, 2, 3), draw64(1, 2, 3));
  const std::set<std::uint64_t> drawn{draw64(1, 2, 3), draw64(2, 2, 3), draw64(1, 3, 3), draw64(1, 2, 4), draw64(1, 3, 2)};
  EXPECT_EQ(drawn.size(), 5u);
  static_assert(draw_unit(7, 8) >= 0 && draw_unit(7, 8) < 1);
}

TEST(Random, a_copy_continues_as_the_original) {
  Random a(42);
  a.next();
  Random b = a;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(a.next(), b.next());
}

TEST(Random, below_reaches_every_value_about_equally_often) {
  Random random(5);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts.at(random.below(7));
  for (const int count : counts) EXPECT_LT(std::abs(count - 10'000), 500);      // five standard deviations are 463
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Random, unit_draws_fill_the_interval) {
  double sum = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    const double x = draw_unit(3, 4, i);
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.015);
}

Result<std::string> parse(bool good) {
  if (!good) return Error{ErrorCode::invalid_config, Scope::cluster, "line 3: unknown key", "nodes"};
  return std::string{"value"};
}

TEST(Result, holds_a_value_or_an_error) {
  EXPECT_EQ(parse(true).value(), "value");
  EXPECT_TRUE(parse(true));
  const auto failed = parse(false);
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::invalid_config);
  EXPECT_EQ(failed.error().parameter, "nodes");
  EXPECT_TRUE(ok().ok());
}

TEST(Result, moves_a_value_that_cannot_be_copied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, dies_with_the_errors_message_when_its_value_is_taken) {
  EXPECT_DEATH((void)parse(false).value(), "unknown key");
  EXPECT_DEATH((void)parse(true).error(), "error\\(\\) of a value");
}

TEST(Result, every_code_and_scope_has_a_name) {
  for (const auto code : {ErrorCode::invalid_argument,  ErrorCode::context_length_exceeded,
                          ErrorCode::deadline_exceeded, ErrorCode::cancelled,
                          ErrorCode::queue_full,        ErrorCode::unavailable,
                          ErrorCode::unknown_model,     ErrorCode::unsupported,
                          ErrorCode::transfer_failed,   ErrorCode::lease_ended,
                          ErrorCode::digest_mismatch,   ErrorCode::model_mismatch,
                          ErrorCode::version_mismatch,  ErrorCode::peer_unreachable,
                          ErrorCode::unauthorized,      ErrorCode::device_failed,
                          ErrorCode::out_of_memory,     ErrorCode::invalid_config,
                          ErrorCode::invalid_file,      ErrorCode::not_found,
                          ErrorCode::address_in_use,    ErrorCode::io_error,
                          ErrorCode::internal}) {
    EXPECT_STRNE(to_string(code), "unknown");
  }
  for (const auto scope : {Scope::request, Scope::transfer, Scope::peer, Scope::instance, Scope::cluster}) {
    EXPECT_STRNE(to_string(scope), "unknown");
  }
}

TEST(Ids, order_by_request_then_epoch) {
  EXPECT_LT((RequestKey{RequestId{1}, Epoch{9}}), (RequestKey{RequestId{2}, Epoch{1}}));
  EXPECT_LT((RequestKey{RequestId{1}, Epoch{1}}), (RequestKey{RequestId{1}, Epoch{2}}));
}

TEST(Time, an_instant_moves_by_durations) {
  const Instant t{1'000};
  EXPECT_EQ((t + Milliseconds{2}) - t, Duration{2'000'000});
  EXPECT_LT(t - Duration{1}, t);
}

}  // namespace
}  // namespace baton
