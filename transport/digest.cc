#include "transport/digest.h"

#define XXH_STATIC_LINKING_ONLY      // for the state's definition
#include <xxhash.h>

#include "transport/slot_memory.h"

namespace baton::transport {

std::uint64_t slot_digest(const SlotMemory& slot) {
  if (slot.runs <= 1 || slot.stride_bytes == slot.run_bytes) {
    return XXH3_64bits_withSeed(slot.base, slot.bytes(), slot.digest_seed);
  }
  XXH3_state_t state;
  XXH3_64bits_reset_withSeed(&state, slot.digest_seed);
  for_each_run(slot, 0, slot.bytes(), [&](const std::byte* run, std::size_t bytes) { XXH3_64bits_update(&state, run, bytes); });
  return XXH3_64bits_digest(&state);
}

std::uint64_t range_digest(const std::byte* packed, std::size_t bytes, std::uint64_t digest_seed, std::size_t offset,
                           std::size_t slot_bytes) {
  const bool whole = offset == 0 && bytes == slot_bytes;
  const std::uint64_t seed = whole ? digest_seed : digest_seed ^ ((offset + 1) * 0x9e3779b97f4a7c15u);
  return XXH3_64bits_withSeed(packed, bytes, seed);
}

}  // namespace baton::transport
