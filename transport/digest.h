// The digest of a slot: XXH3-64 over its packed bytes, seeded with what the slot should hold, so that right bytes in the wrong
// place do not verify. It guards against corruption and mix-ups, not against an adversary.
//
// A slot larger than a piece travels as fragments, each with a digest of its own that is also bound to its place in the slot.
#pragma once

#include <cstddef>
#include <cstdint>

#include "transport/fabric.h"

namespace baton::transport {

// Equal to one call of XXH3_64bits_withSeed over the packed bytes, whatever the stride.
std::uint64_t slot_digest(const SlotMemory& slot);

// Of the packed bytes [offset, offset + bytes) of a slot of `slot_bytes`. The whole slot's is slot_digest.
std::uint64_t range_digest(const std::byte* packed, std::size_t bytes, std::uint64_t digest_seed, std::size_t offset,
                           std::size_t slot_bytes);

}  // namespace baton::transport
