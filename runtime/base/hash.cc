#include "runtime/base/hash.h"

#define XXH_STATIC_LINKING_ONLY   // for the state as a complete type, on the stack
#include <xxhash.h>

#include <array>

namespace baton {

std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::uint64_t hash64(std::string_view text, std::uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

Hash128 chain_hash(const Hash128& parent, std::span<const TokenId> block_tokens) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  const std::array<std::uint64_t, 2> head{parent.low, parent.high};
  XXH3_128bits_update(&state, head.data(), sizeof head);
  XXH3_128bits_update(&state, block_tokens.data(), block_tokens.size_bytes());
  const XXH128_hash_t digest = XXH3_128bits_digest(&state);
  return {digest.low64, digest.high64};
}

std::uint64_t digest_seed(std::uint64_t model_fingerprint, const Hash128& prefix, std::uint32_t layer) {
  const std::array<std::uint64_t, 4> words{model_fingerprint, prefix.low, prefix.high, layer};
  return XXH3_64bits(words.data(), sizeof words);
}

std::uint64_t root_digest(std::span<const std::uint64_t> slot_digests) {
  const std::uint64_t root = hash64(std::as_bytes(slot_digests));
  return root == 0 ? 1 : root;
}

}  // namespace baton
