#include "runtime/kv/prefix_identity.h"

#include <cstddef>

namespace baton {

void extend_chain(std::vector<Hash128>& chain, std::span<const TokenId> tokens, std::uint32_t block_tokens) {
  const std::size_t full = tokens.size() / block_tokens;
  while (chain.size() < full) {
    const Hash128 parent = chain.empty() ? Hash128{} : chain.back();
    chain.push_back(chain_hash(parent, tokens.subspan(chain.size() * block_tokens, block_tokens)));
  }
}

PrefixNames prefix_names(std::span<const TokenId> tokens) {
  PrefixNames prefix;
  while (tokens.size() / prefix.stride > PrefixNames::kMost) prefix.stride *= 2;
  std::vector<Hash128> chain;
  extend_chain(chain, tokens, PrefixNames::kLeastStride);
  const std::size_t step = prefix.stride / PrefixNames::kLeastStride;
  for (std::size_t end = step; end <= chain.size(); end += step) prefix.names.push_back(chain[end - 1].low);
  return prefix;
}

std::vector<Hash128> block_identities(std::span<const TokenId> tokens, std::uint32_t block_tokens) {
  std::vector<Hash128> chain;
  extend_chain(chain, tokens, block_tokens);
  const std::size_t full = chain.size() * block_tokens;
  if (full < tokens.size()) {
    chain.push_back(chain_hash(chain.empty() ? Hash128{} : chain.back(), tokens.subspan(full)));
  }
  return chain;
}

}  // namespace baton
