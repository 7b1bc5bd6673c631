// The pool against a model so simple that it is obviously right: maps and a list, searched from end to end.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/kv/block_pool.h"
#include "runtime/kv/prefix_identity.h"

namespace baton {
namespace {

constexpr std::uint32_t kBlocks = 48;
constexpr std::uint32_t kTokens = 2;
constexpr std::uint32_t kDepth = 3;              // blocks of a prefix

using Tokens = std::vector<TokenId>;

struct Model {
  std::map<std::uint32_t, std::uint32_t> references;     // of referenced blocks
  std::map<Tokens, std::uint32_t> published;             // whole prefix up to the block's end -> block
  std::list<std::uint32_t> unused;                       // published and unreferenced, oldest first

  std::optional<Tokens> prefix_of(std::uint32_t block) const {
    for (const auto& [prefix, b] : published) if (b == block) return prefix;
    return std::nullopt;
  }
  void took(BlockId block) {                             // by allocate()
    ASSERT_FALSE(references.contains(block.value)) << "a referenced block was given away";
    if (const auto prefix = prefix_of(block.value)) {
      ASSERT_EQ(references.size() + unused.size(), kBlocks) << "evicted although a block was free";
      ASSERT_EQ(unused.front(), block.value) << "not the least recently used";
      unused.pop_front();
      published.erase(*prefix);
    }
    references[block.value] = 1;
  }
  void share(std::uint32_t block) {
    if (references[block]++ == 0) unused.remove(block);
  }
  void release(std::uint32_t block) {
    if (--references[block] > 0) return;
    references.erase(block);
    if (prefix_of(block)) unused.push_back(block);
  }
};

struct Held {
  BlockId block;
  bool written;                                          // published or tried to: not published again
};

class PoolAndModel {
 public:
  explicit PoolAndModel(std::uint64_t seed) : random_(seed), pool_({.blocks = kBlocks, .block_tokens = kTokens}) {}

  void act() {
    switch (random_.below(5)) {
      case 0: return allocate();
      case 1: return publish();
      case 2: return reuse();
      default: return release();
    }
  }
  void compare() {
    ASSERT_EQ(pool_.used(), model_.references.size());
    ASSERT_EQ(pool_.cached(), model_.unused.size());
    ASSERT_EQ(pool_.available(), kBlocks - model_.references.size());
  }
  void compare_deeply() {
    pool_.check_invariants();
    for (std::uint32_t block = 0; block < kBlocks; ++block) {
      const auto found = model_.references.find(block);
      ASSERT_EQ(pool_.references(BlockId{block}), found == model_.references.end() ? 0 : found->second);
    }
  }

 private:
  Tokens draw_prefix() {                                 // few distinct ones, so that they meet
    Tokens prefix;
    const auto blocks = 1 + random_.below(kDepth);
    for (std::uint64_t i = 0; i < blocks * kTokens; ++i)
      prefix.push_back(static_cast<TokenId>(i % kTokens == 0 ? random_.below(4) : 9));
    return prefix;
  }
  void allocate() {
    std::vector<BlockId> taken;
    const auto count = static_cast<std::uint32_t>(1 + random_.below(4));
    ASSERT_EQ(pool_.allocate(count, taken), count <= kBlocks - model_.references.size());
    for (const BlockId block : taken) {
      model_.took(block);
      held_.push_back({block, false});
    }
  }
  void publish() {
    if (held_.empty()) return;
    Held& held = held_[random_.below(held_.size())];
    if (std::exchange(held.written, true)) return;
    const Tokens prefix = draw_prefix();
    std::vector<Hash128> chain;
    extend_chain(chain, prefix, kTokens);
    const bool fresh = !model_.published.contains(prefix) && !model_.prefix_of(held.block.value);
    ASSERT_EQ(pool_.publish(held.block, chain.back(), std::span{prefix}.last(kTokens)), fresh);
    if (fresh) model_.published[prefix] = held.block.value;
  }
  void reuse() {
    const Tokens tokens = draw_prefix();
    std::vector<Hash128> chain;
    extend_chain(chain, tokens, kTokens);
    std::vector<BlockId> expected;
    for (std::size_t end = kTokens; end <= tokens.size(); end += kTokens) {
      const auto found = model_.published.find(Tokens(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(end)));
      if (found == model_.published.end()) break;
      expected.push_back(BlockId{found->second});
    }
    const auto matched = pool_.match(tokens, chain);
    ASSERT_EQ(matched, expected);
    for (const BlockId block : matched) {
      pool_.share(block);
      model_.share(block.value);
      held_.push_back({block, true});
    }
  }
  void release() {
    if (held_.empty()) return;
    std::swap(held_[random_.below(held_.size())], held_.back());
    pool_.release(held_.back().block);
    model_.release(held_.back().block.value);
    held_.pop_back();
  }

  Random random_;
  BlockPool pool_;
  Model model_;
  std::vector<Held> held_;                               // one entry a reference
};

TEST(BlockPoolProperty, agrees_with_a_simple_model_over_a_million_random_operations) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    PoolAndModel both(seed);
    for (int i = 0; i < 100'000; ++i) {
      both.act();
      both.compare();
      if (i % 64 == 0) both.compare_deeply();
      if (::testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << ", operation " << i;
    }
  }
}

}  // namespace
}  // namespace baton
