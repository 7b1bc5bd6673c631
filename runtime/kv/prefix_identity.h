// The identity of KV blocks: a block's contents follow from the model and from every token up to the block's end, so the
// chained hash of those tokens names it everywhere (runtime/base/hash.h, chain_hash). Source: Mooncake section 5.1, prefix
// hashing.
//
//   tokens   | 0 .. 15 | 16 .. 31 | 32 .. 39 |       block_tokens = 16
//   identity |   h_0   |   h_1    |  tail    |       h_i = H(h_{i-1}, tokens of block i); the tail's is over what it holds
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/base/hash.h"

namespace baton {

// Extends `chain`, the identities of the first chain.size() full blocks of `tokens`, to all full blocks.
void extend_chain(std::vector<Hash128>& chain, std::span<const TokenId> tokens, std::uint32_t block_tokens);

// Of every block of `tokens`, the last one's over its partial content: what seeds the digests of a hand-off.
std::vector<Hash128> block_identities(std::span<const TokenId> tokens, std::uint32_t block_tokens);

// A prompt's beginnings by name, a bounded number whatever its length: for those who only ask who had the same one before.
// Equal names are equal beginnings (but for a collision of 64 bits), also of prompts whose strides differ.
struct PrefixNames {
  static constexpr std::uint32_t kLeastStride = 64, kMost = 32;

  std::uint32_t stride = kLeastStride;       // tokens: 64, doubled until no more than 32 fit the prompt
  std::vector<std::uint64_t> names;          // of the first stride, 2 * stride, ... tokens
};
PrefixNames prefix_names(std::span<const TokenId> tokens);

}  // namespace baton
