// Where the slots of a transfer lie. Slot layer * blocks + ordinal is one layer's part of the block at that place of the request's
// block table; the last block may be partly filled, and only what is filled is sent.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/device/device.h"
#include "runtime/instance/instance_events.h"
#include "transport/fabric.h"

namespace baton {

struct KvRun {                             // the blocks of one request, as a transfer or a digest sees them
  std::vector<BlockId> blocks;             // by ordinal
  std::vector<Hash128> prefix;             // identity of each
  std::uint32_t tokens = 0;                // in all
};

class KvSlots {
 public:
  // Hand-off is between host memories; a device whose KV lies elsewhere has none. Errors: unsupported.
  static Result<KvSlots> of(Device& device);

  std::uint32_t layers() const { return layers_; }
  transport::SlotMemory slot(const KvRun& run, std::uint32_t layer, std::uint32_t ordinal) const;
  std::vector<transport::SlotMemory> all(const KvRun& run) const;                          // in slot order
  // Ordinals [begin, end) of one layer, numbered as slots.
  std::vector<transport::SlotToSend> part(const KvRun& run, std::uint32_t layer, std::uint32_t begin, std::uint32_t end) const;
  // root_digest over the digests of all slots.
  std::uint64_t root(const KvRun& run) const;

 private:
  explicit KvSlots(Device& device);
  Device* device_;
  std::uint32_t layers_;
  std::uint32_t block_tokens_;
  std::uint64_t fingerprint_;
};

}  // namespace baton
