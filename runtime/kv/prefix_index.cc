#include "runtime/kv/prefix_index.h"

#include <algorithm>
#include <cstddef>

#include "runtime/base/check.h"

namespace baton {

PrefixIndex::PrefixIndex(std::uint32_t blocks, std::uint32_t block_tokens)
    : block_tokens_(block_tokens), known_(blocks), identity_(blocks), tokens_(std::size_t{blocks} * block_tokens) {}

bool PrefixIndex::insert(BlockId block, const Hash128& identity, std::span<const TokenId> tokens) {
  CHECK(tokens.size() == block_tokens_, "only a full block has an identity; {} tokens", tokens.size());
  if (contains(block) || !by_identity_.emplace(identity, block).second) return false;
  known_[block.value] = true;
  identity_[block.value] = identity;
  std::ranges::copy(tokens, tokens_.begin() + static_cast<std::ptrdiff_t>(std::size_t{block.value} * block_tokens_));
  return true;
}

void PrefixIndex::erase(BlockId block) {
  if (!contains(block)) return;
  by_identity_.erase(identity_[block.value]);
  known_[block.value] = false;
}

std::optional<BlockId> PrefixIndex::find(const Hash128& identity, std::span<const TokenId> tokens) const {
  const auto found = by_identity_.find(identity);
  if (found == by_identity_.end() || !std::ranges::equal(tokens_of(found->second), tokens)) return std::nullopt;
  return found->second;
}

std::span<const TokenId> PrefixIndex::tokens_of(BlockId block) const {
  return std::span{tokens_}.subspan(std::size_t{block.value} * block_tokens_, block_tokens_);
}

void PrefixIndex::check_invariants() const {
  std::size_t known = 0;
  for (std::uint32_t block = 0; block < known_.size(); ++block) {
    if (!known_[block]) continue;
    ++known;
    const auto found = by_identity_.find(identity_[block]);
    CHECK(found != by_identity_.end() && found->second.value == block, "block {} is not found by its identity", block);
  }
  CHECK(known == by_identity_.size(), "{} identities for {} blocks", by_identity_.size(), known);
}

}  // namespace baton
