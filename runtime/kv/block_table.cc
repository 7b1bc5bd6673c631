#include "runtime/kv/block_table.h"

#include "runtime/base/check.h"

namespace baton {

void BlockTable::adopt(std::span<const BlockId> blocks, BlockPool& pool) {
  CHECK(empty(), "a table adopts a prefix before it grows");
  for (const BlockId block : blocks) {
    pool.share(block);
    blocks_.push_back(block);
  }
}

std::uint32_t BlockTable::missing_for(std::uint64_t tokens, const BlockPool& pool) const {
  const std::uint32_t needed = pool.blocks_for(tokens);
  return needed > size() ? needed - size() : 0;
}

bool BlockTable::grow_to(std::uint64_t tokens, BlockPool& pool) {
  return pool.allocate(missing_for(tokens, pool), blocks_);
}

std::optional<BlockTable::Fork> BlockTable::fork(std::uint64_t tokens, BlockPool& pool) const {
  CHECK(pool.blocks_for(tokens) <= size(), "a fork over {} tokens of a table of {} blocks", tokens, size());
  const bool partial = tokens % pool.block_tokens() != 0;
  const std::size_t full = static_cast<std::size_t>(tokens / pool.block_tokens());
  if (partial && pool.available() == 0) return std::nullopt;
  Fork fork;
  fork.table.adopt(std::span{blocks_}.first(full), pool);
  if (partial) {
    CHECK(fork.table.grow_to(tokens, pool), "a block was available");
    pool.share(blocks_[full]);
    fork.copy.emplace(blocks_[full], fork.table.blocks_.back());
  }
  return fork;
}

void BlockTable::release(BlockPool& pool) {
  while (!blocks_.empty()) {
    pool.release(blocks_.back());
    blocks_.pop_back();
  }
}

}  // namespace baton
