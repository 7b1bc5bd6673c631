// Each policy's victims from a table of events, against a model that searches from end to end, and the door they come in by.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "runtime/base/random.h"
#include "runtime/kv/block_heap.h"
#include "runtime/kv/eviction_registry.h"

namespace baton {
namespace {

constexpr std::uint32_t kEvictable = 24;

std::unique_ptr<EvictionPolicy> make(const std::string& name) {
  auto policy = make_eviction(name, kEvictable);
  EXPECT_TRUE(policy.ok());
  return std::move(*policy);
}

// "a0 a1:3 u0 h1 r1 f0": admit block 0, block 1 at depth 3, use, hold, release, forget.
void apply(EvictionPolicy& policy, const std::string& events) {
  for (std::size_t at = 0; at < events.size(); at = std::min(events.find(' ', at), events.size() - 1) + 1) {
    std::size_t length = 0;
    const BlockId block{static_cast<std::uint32_t>(std::stoul(events.substr(at + 1), &length))};
    const std::size_t colon = at + 1 + length;
    const bool deep = colon < events.size() && events[colon] == ':';
    switch (events[at]) {
      case 'a': policy.admit(block, deep ? static_cast<std::uint32_t>(std::stoul(events.substr(colon + 1))) : 0); break;
      case 'u': policy.use(block); break;
      case 'h': policy.hold(block); break;
      case 'r': policy.release(block); break;
      default: policy.forget(block);
    }
  }
}

std::string victims(EvictionPolicy& policy) {
  std::string all;
  while (const auto victim = policy.victim()) {
    if (!all.empty()) all += ' ';
    all += std::to_string(victim->value);
    policy.forget(*victim);
  }
  return all;
}

TEST(Eviction, takes_its_victims_in_the_order_of_its_rule) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases = {
      {"lru", "a0 a1 a2", "0 1 2"},
      {"lru", "a0 a1 a2 u0 u1", "2 0 1"},
      {"lru", "a0 a1 a2 h0 r0", "1 2 0"},                        // unused since its release
      {"lru", "a0 a1 h0", "1"},
      {"lru", "a0:9 a1:1", "0 1"},
      {"lfu", "a0 a1 a2 u0 u0 u1", "2 1 0"},
      {"lfu", "a0 a1 a2 u1 u0", "2 1 0"},                        // ties: least recently used first
      {"lfu", "a0 a1 u0 f0 a0", "1 0"},                          // forgotten with its uses
      {"lfu", "a0 a1 a2 h0 u0 r0", "1 2 0"},                     // used while it was held
      {"lfu", "a0 a1 h0 h1 r1 r0", "0 1"},                       // being released is no use
      {"length_aware", "a0:0 a1:1 a2:2", "2 1 0"},
      {"length_aware", "a0:0 a1:1 a2:2 u2", "1 0 2"},            // uses come first
      {"length_aware", "a0:5 a1:5 a2:5 u0 u1", "2 0 1"},         // then depth, then recency
  };
  for (const auto& [name, events, expected] : cases) {
    const auto policy = make(name);
    apply(*policy, events);
    EXPECT_EQ(victims(*policy), expected) << name << ": " << events;
  }
}

struct ModelBlock {
  std::uint64_t uses = 0, last_use = 0, unused_since = 0;
  std::uint32_t depth = 0;
  bool held = false;
};

TEST(Eviction, agrees_with_a_model_that_searches_all_blocks) {
  using Key = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
  const std::map<std::string, Key (*)(const ModelBlock&)> keys = {
      {"lru", [](const ModelBlock& b) { return Key{b.unused_since, 0, 0}; }},
      {"lfu", [](const ModelBlock& b) { return Key{b.uses, b.last_use, 0}; }},
      {"length_aware", [](const ModelBlock& b) { return Key{b.uses, 1000 - b.depth, b.last_use}; }}};
  for (const auto& [name, key] : keys) {
    const auto policy = make(name);
    std::map<std::uint32_t, ModelBlock> model;
    Random random{11};
    for (std::uint64_t now = 1; now < 20000; ++now) {
      const BlockId block{static_cast<std::uint32_t>(random.below(kEvictable))};
      const auto known = model.find(block.value);
      if (known == model.end()) {
        const auto depth = static_cast<std::uint32_t>(random.below(5));
        policy->admit(block, depth);
        model[block.value] = {.uses = 1, .last_use = now, .unused_since = now, .depth = depth};
      } else if (random.below(3) != 0) {
        policy->use(block);
        ++known->second.uses;
        known->second.last_use = known->second.unused_since = now;
      } else if (known->second.held) {
        policy->release(block);
        known->second.held = false;
        known->second.unused_since = now;
      } else if (random.below(2) == 0) {
        policy->hold(block);
        known->second.held = true;
      } else {
        policy->forget(block);
        model.erase(known);
      }
      std::optional<BlockId> expected;
      for (const auto& [id, b] : model) {
        if (!b.held && (!expected || key(b) < key(model[expected->value]))) expected = BlockId{id};
      }
      ASSERT_EQ(policy->victim(), expected) << name << " at " << now;
    }
  }
}

TEST(BlockHeap, gives_blocks_back_in_the_order_of_their_ranks) {
  constexpr std::uint32_t kMany = 500;
  BlockHeap heap{kMany};
  std::map<BlockHeap::Rank, std::uint32_t> model;
  std::vector<BlockHeap::Rank> rank(kMany);
  Random random{3};
  for (std::uint32_t block = 0; block < kMany; ++block) heap.insert(BlockId{block}, rank[block] = {random.below(7), block});
  for (std::uint32_t block = 0; block < kMany; block += 2) heap.change(BlockId{block}, rank[block] = {random.below(7), block});
  for (std::uint32_t block = 0; block < kMany; block += 5) heap.remove(BlockId{block});
  for (std::uint32_t block = 0; block < kMany; ++block) {
    if (block % 5 != 0) model[rank[block]] = block;
  }
  EXPECT_EQ(heap.size(), model.size());
  for (const auto& [_, block] : model) {
    ASSERT_EQ(heap.lowest(), BlockId{block});
    heap.remove(BlockId{block});
  }
  EXPECT_EQ(heap.lowest(), std::nullopt);
}

TEST(Eviction, is_refused_by_the_nearest_name) {
  const auto near = make_eviction("lenght_aware", 1);
  ASSERT_FALSE(near.ok());
  EXPECT_EQ(near.error().message, "unknown eviction policy \"lenght_aware\"; did you mean \"length_aware\"?");
  EXPECT_EQ(make_eviction("", 1).error().message, "unknown eviction policy \"\"; known: length_aware, lfu, lru");
  EXPECT_EQ(register_eviction("lru", {}).error().message, "an eviction policy named lru is registered already");
  EXPECT_EQ(register_eviction("", {}).error().message, "an eviction policy needs a name");
}

}  // namespace
}  // namespace baton
