// The KV blocks of one instance: who may use which, counted by references; and which unused ones still hold a known prefix.
//
//            allocate                    release, anonymous
//     free ───────────► referenced ──────────────────────────► free
//      ▲                 ▲      │ release, published
//      │           share │      ▼
//      └──── evicted ── cached (unreferenced, findable by its prefix, least recently used goes first)
//
// A block that several hold is immutable: its holders only read it. Only full blocks are published, and nothing is written
// into a full block again. Cached blocks count as available: an allocation evicts them when the free list is empty. Sources:
// vLLM's paged attention (SOSP'23) for blocks and references; Mooncake section 5.1 for identity by chained hash.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/kv/lru_list.h"
#include "runtime/kv/prefix_index.h"

namespace baton {

class BlockPool {
 public:
  struct Options {
    std::uint32_t blocks = 0;
    std::uint32_t block_tokens = 16;
    bool prefix_cache = true;              // false: publish() keeps nothing, match() finds nothing
  };
  explicit BlockPool(Options options);

  std::uint32_t block_tokens() const { return options_.block_tokens; }
  std::uint32_t blocks_for(std::uint64_t tokens) const {
    return static_cast<std::uint32_t>((tokens + options_.block_tokens - 1) / options_.block_tokens);
  }
  std::uint32_t total() const { return options_.blocks; }
  std::uint32_t used() const { return total() - available(); }                          // referenced
  std::uint32_t available() const { return static_cast<std::uint32_t>(free_.size()) + lru_.size(); }
  std::uint32_t cached() const { return lru_.size(); }                                  // unreferenced, findable

  // Appends `count` anonymous blocks with one reference each to `to`; all, or none and false.
  bool allocate(std::uint32_t count, std::vector<BlockId>& to);
  // Every step takes and gives back a reference to each block that it touches: the common cases are here.
  void share(BlockId block) {              // one more reference, to a referenced or a cached block
    if (references_[block.value]++ == 0) share_cached(block);
  }
  void release(BlockId block) {            // one less; the last one leaves the block free, or cached if it was published
    if (references_[block.value]-- <= 1) release_last(block);
  }
  std::uint32_t references(BlockId block) const { return references_[block.value]; }

  // Makes a full block findable. False if it stays anonymous: an equal block is known, or there is no cache.
  bool publish(BlockId block, const Hash128& identity, std::span<const TokenId> block_tokens);
  // The longest run of known blocks from the start of `tokens`, whose full blocks have the identities `chain`. Takes no
  // reference.
  std::vector<BlockId> match(std::span<const TokenId> tokens, std::span<const Hash128> chain) const;

  void check_invariants() const;

 private:
  void share_cached(BlockId block);
  void release_last(BlockId block);

  Options options_;
  std::vector<std::uint32_t> references_;
  std::vector<BlockId> free_;              // a stack: the most recently freed is the warmest
  LruList lru_;
  PrefixIndex index_;
};

}  // namespace baton
