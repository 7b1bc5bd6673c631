#include "runtime/kv/block_pool.h"

#include <cstddef>

#include "runtime/base/check.h"

namespace baton {

BlockPool::BlockPool(Options options)
    : options_(options), references_(options.blocks), lru_(options.blocks), index_(options.blocks, options.block_tokens) {
  CHECK(options.block_tokens > 0, "a block holds at least one token");
  for (std::uint32_t block = options.blocks; block-- > 0;) free_.push_back(BlockId{block});
}

bool BlockPool::allocate(std::uint32_t count, std::vector<BlockId>& to) {
  if (count > available()) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    BlockId block;
    if (!free_.empty()) {
      block = free_.back();
      free_.pop_back();
    } else {
      block = *lru_.oldest();
      lru_.remove(block);
      index_.erase(block);
    }
    references_[block.value] = 1;
    to.push_back(block);
  }
  return true;
}

void BlockPool::share_cached(BlockId block) {
  CHECK(lru_.contains(block), "block {} is free: there is nothing in it to share", block.value);
  lru_.remove(block);
}

void BlockPool::release_last(BlockId block) {
  CHECK(references_[block.value] == 0, "block {} is released more often than it was taken", block.value);
  if (index_.contains(block)) {
    lru_.push_newest(block);
  } else {
    free_.push_back(block);
  }
}

bool BlockPool::publish(BlockId block, const Hash128& identity, std::span<const TokenId> block_tokens) {
  CHECK(references_[block.value] > 0, "block {} is published by nobody who holds it", block.value);
  return options_.prefix_cache && index_.insert(block, identity, block_tokens);
}

std::vector<BlockId> BlockPool::match(std::span<const TokenId> tokens, std::span<const Hash128> chain) const {
  std::vector<BlockId> found;
  if (!options_.prefix_cache) return found;
  for (std::size_t i = 0; i < chain.size() && (i + 1) * options_.block_tokens <= tokens.size(); ++i) {
    const auto block = index_.find(chain[i], tokens.subspan(i * options_.block_tokens, options_.block_tokens));
    if (!block) break;
    found.push_back(*block);
  }
  return found;
}

void BlockPool::check_invariants() const {
  index_.check_invariants();
  std::vector<bool> is_free(options_.blocks);
  for (const BlockId block : free_) {
    CHECK(!is_free[block.value], "block {} is free twice", block.value);
    is_free[block.value] = true;
  }
  std::uint32_t referenced = 0;
  for (std::uint32_t i = 0; i < options_.blocks; ++i) {
    const BlockId block{i};
    const bool held = references_[i] > 0;
    referenced += held;
    CHECK(int{held} + int{is_free[i]} + int{lru_.contains(block)} == 1, "block {} is not in exactly one state", i);
    CHECK(!is_free[i] || !index_.contains(block), "block {} is free and findable", i);
    CHECK(!lru_.contains(block) || index_.contains(block), "block {} is cached and cannot be found", i);
  }
  CHECK(referenced == used(), "{} blocks are referenced, {} counted", referenced, used());
}

}  // namespace baton
