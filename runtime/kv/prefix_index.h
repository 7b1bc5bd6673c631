// Which block holds the KV of which prefix: identity -> block, with the block's tokens kept beside it, so that a hit is
// believed only when the tokens are equal, not merely their hash. One block an identity: the first to publish wins, a later
// equal block stays anonymous. Knows nothing of references; the pool tells it when a block is evicted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/base/hash.h"

namespace baton {

class PrefixIndex {
 public:
  PrefixIndex(std::uint32_t blocks, std::uint32_t block_tokens);

  // False if another block has this identity, or this block has one already.
  bool insert(BlockId block, const Hash128& identity, std::span<const TokenId> tokens);
  void erase(BlockId block);                               // no effect on an anonymous block

  bool contains(BlockId block) const { return known_[block.value]; }
  std::optional<BlockId> find(const Hash128& identity, std::span<const TokenId> tokens) const;
  std::uint32_t size() const { return static_cast<std::uint32_t>(by_identity_.size()); }

  void check_invariants() const;

 private:
  std::span<const TokenId> tokens_of(BlockId block) const;

  std::uint32_t block_tokens_;
  std::unordered_map<Hash128, BlockId> by_identity_;       // looked up, never iterated
  std::vector<bool> known_;                                // by block
  std::vector<Hash128> identity_;
  std::vector<TokenId> tokens_;                            // block_tokens per block
};

}  // namespace baton
