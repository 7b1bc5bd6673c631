// Hit rates of the cache-only simulator: by hand, and of the published trace.
#include "runtime/sim/cache_replay.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/runtime/sim/trace_helpers.h"

namespace baton::sim {
namespace {

using test::shared_folder;

Trace requests(const std::vector<std::vector<std::uint64_t>>& blocks) {
  Trace trace;
  for (const auto& ids : blocks) trace.push_back({.prompt_tokens = static_cast<std::uint32_t>(512 * ids.size()), .blocks = ids});
  return trace;
}

CacheReplay replay(const Trace& trace, std::string_view policy, std::uint64_t capacity) {
  const auto result = replay_cache(trace, policy, capacity);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *result : CacheReplay{};
}

TEST(CacheReplay, finds_every_repetition_without_a_bound) {
  const Trace trace = requests({{1, 2, 3}, {1, 2, 4}, {}, {1, 5}});
  const CacheReplay all = replay(trace, "lru", 0);
  EXPECT_EQ(all.requests, 4u);
  EXPECT_EQ(all.references, 8u);
  EXPECT_EQ(all.distinct, 5u);
  EXPECT_EQ(all.hits, 3u);
  EXPECT_EQ(all.evictions, 0u);
  EXPECT_EQ(all.block_hit_rate(), 0.375);
  EXPECT_EQ(replay(trace, "lfu", 5).hits, 3u);
  EXPECT_EQ(replay(trace, "length_aware", ~std::uint64_t{0}).hits, 3u);
}

TEST(CacheReplay, evicts_by_the_policy_it_is_given) {
  const Trace trace = requests({{1}, {1}, {2}, {3}, {1}, {2}});        // with two places, 3 replaces 1 (lru) or 2 (lfu)
  EXPECT_EQ(replay(trace, "lru", 2).hits, 1u);
  EXPECT_EQ(replay(trace, "lru", 2).evictions, 3u);
  EXPECT_EQ(replay(trace, "lfu", 2).hits, 2u);
  EXPECT_EQ(replay(requests({{1, 2}, {3}, {1}, {3}}), "lru", 2).hits, 1u);
  EXPECT_EQ(replay(requests({{1, 2}, {3}, {1}, {3}}), "length_aware", 2).hits, 2u);
}

TEST(CacheReplay, counts_apart_what_lies_in_a_cached_prefix) {
  const CacheReplay counted = replay(requests({{1, 2}, {1, 3}, {1, 9, 3}}), "lfu", 3);      // 9 is missing, 3 behind it is there
  EXPECT_EQ(counted.hits, 3u);
  EXPECT_EQ(counted.prefix_hits, 2u);
}

TEST(CacheReplay, refuses_an_unknown_policy_and_a_trace_without_blocks) {
  EXPECT_EQ(replay_cache(requests({{1}}), "lrfu", 1).error().message, "unknown eviction policy \"lrfu\"; did you mean \"lfu\"?");
  EXPECT_EQ(replay_cache(requests({{}}), "lru", 1).error().message,
            "the trace names no blocks, so nothing can be found again: take a Mooncake JSONL trace with hash_ids");
}

TEST(CacheReplay, reproduces_the_hit_rates_of_the_conversation_trace_to_four_digits) {
  SKIP_WITHOUT_SHARED();
  const auto trace = load_trace(shared_folder() + "/traces/mooncake_conversation.jsonl");
  ASSERT_TRUE(trace.ok()) << trace.error().message;
  struct Row {
    std::uint64_t capacity;
    double lru, lfu, length_aware;
  };
  const Row rows[] = {{0, 0.3664, 0.3664, 0.3664},     {100000, 0.3637, 0.3631, 0.3345}, {50000, 0.3546, 0.3438, 0.2602},
                      {30000, 0.3257, 0.2759, 0.2028}, {10000, 0.2112, 0.1318, 0.1123},  {1000, 0.0445, 0.0481, 0.0504}};
  const auto rate = [&](const char* policy, std::uint64_t capacity) {
    return std::round(replay(*trace, policy, capacity).block_hit_rate() * 1e4) / 1e4;
  };
  for (const Row& row : rows) {
    EXPECT_EQ(rate("lru", row.capacity), row.lru) << row.capacity;
    EXPECT_EQ(rate("lfu", row.capacity), row.lfu) << row.capacity;
    EXPECT_EQ(rate("length_aware", row.capacity), row.length_aware) << row.capacity;
  }
  const CacheReplay all = replay(*trace, "lru", 0);
  EXPECT_EQ(all.references, 288500u);
  EXPECT_EQ(all.distinct, 182790u);
  EXPECT_EQ(all.prefix_hits, all.hits);                  // a block that came before came with its whole prefix
}

}  // namespace
}  // namespace baton::sim
