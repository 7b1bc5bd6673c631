// XXH3 by name: 64-bit digests of bytes, and the 128-bit chained identity of a KV block's prefix.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "runtime/base/ids.h"

namespace baton {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  auto operator<=>(const Hash128&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Hash128& x) {
  return f(x.low, x.high);
}

std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed = 0);
std::uint64_t hash64(std::string_view text, std::uint64_t seed = 0);

// h_i = H(h_{i-1}, tokens of block i): equal only if every token up to the block's end is. `parent` of the first block is the salt
// (zero, or a tenant's).
Hash128 chain_hash(const Hash128& parent, std::span<const TokenId> block_tokens);

// What a (layer, block) digest is seeded with, so that right bytes in the wrong place do not verify: the model, the tokens
// that made the block (its chained hash), and the layer.
std::uint64_t digest_seed(std::uint64_t model_fingerprint, const Hash128& prefix, std::uint32_t layer);

// Of a whole hand-off: over the digests of its slots, in slot order. Never 0, which stands for "digests are off".
std::uint64_t root_digest(std::span<const std::uint64_t> slot_digests);

}  // namespace baton

template <>
struct std::hash<baton::Hash128> {
  std::size_t operator()(const baton::Hash128& h) const noexcept { return h.low ^ (h.high * 0x9e3779b97f4a7c15u); }
};
