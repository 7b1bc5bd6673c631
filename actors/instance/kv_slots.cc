#include "actors/instance/kv_slots.h"

#include <algorithm>

#include "transport/digest.h"

namespace baton {

KvSlots::KvSlots(Device& device)
    : device_(&device),
      layers_(device.layout().layers),
      block_tokens_(device.layout().block_tokens),
      fingerprint_(device.model_fingerprint()) {}

Result<KvSlots> KvSlots::of(Device& device) {
  if (!device.host_view(0, BlockId{0}, device.layout().block_tokens)) {
    return Error{ErrorCode::unsupported, Scope::instance,
                 "this device's KV does not lie in host memory, so it cannot be handed off: start the node as mixed"};
  }
  return KvSlots{device};
}

transport::SlotMemory KvSlots::slot(const KvRun& run, std::uint32_t layer, std::uint32_t ordinal) const {
  const std::uint32_t before = ordinal * block_tokens_;
  const std::uint32_t tokens = std::min(block_tokens_, run.tokens - before);
  const HostRuns host = *device_->host_view(layer, run.blocks[ordinal], tokens);
  return {host.base, host.run_bytes, host.stride_bytes, host.runs, digest_seed(fingerprint_, run.prefix[ordinal], layer)};
}

std::vector<transport::SlotMemory> KvSlots::all(const KvRun& run) const {
  std::vector<transport::SlotMemory> slots;
  slots.reserve(run.blocks.size() * layers_);
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    for (std::uint32_t ordinal = 0; ordinal < run.blocks.size(); ++ordinal) slots.push_back(slot(run, layer, ordinal));
  }
  return slots;
}

std::vector<transport::SlotToSend> KvSlots::part(const KvRun& run, std::uint32_t layer, std::uint32_t begin,
                                                 std::uint32_t end) const {
  const auto blocks = static_cast<std::uint32_t>(run.blocks.size());
  std::vector<transport::SlotToSend> slots;
  slots.reserve(end - begin);
  for (std::uint32_t ordinal = begin; ordinal < end; ++ordinal) {
    slots.push_back({layer * blocks + ordinal, slot(run, layer, ordinal)});
  }
  return slots;
}

std::uint64_t KvSlots::root(const KvRun& run) const {
  std::vector<std::uint64_t> digests;
  for (const transport::SlotMemory& memory : all(run)) digests.push_back(transport::slot_digest(memory));
  return root_digest(digests);
}

}  // namespace baton
