#include "actors/instance/outgoing_transfers.h"

#include <array>

#include "runtime/base/hash.h"

namespace baton {

transport::PeerId peer_id(const InstanceRef& instance) {
  const std::array<std::uint64_t, 2> words{instance.id.value, instance.incarnation.value};
  return hash64(std::as_bytes(std::span{words}));
}

void OutgoingTransfers::open(const SendBlocks& command) {
  KvRun run{command.blocks, command.prefix, command.tokens};
  const auto blocks = static_cast<std::uint32_t>(run.blocks.size());
  const transport::Transfer transfer = command.transfer.value;
  if (!command.by_layer) {
    std::vector<transport::SlotToSend> all;
    all.reserve(std::size_t{slots_.layers()} * blocks);
    for (std::uint32_t layer = 0; layer < slots_.layers(); ++layer) {
      for (auto& slot : slots_.part(run, layer, 0, blocks)) all.push_back(slot);
    }
    fabric_.send(peer_id(command.to), transfer, std::move(all));
    fabric_.close_sends(transfer);
    return;
  }
  const std::lock_guard lock{mutex_};
  open_.emplace(command.transfer, std::move(run));
}

void OutgoingTransfers::abort(TransferId transfer) {
  const std::lock_guard lock{mutex_};
  open_.erase(transfer);
  fabric_.abort_sends(transfer.value);
}

void OutgoingTransfers::forget(TransferId transfer) {
  const std::lock_guard lock{mutex_};
  open_.erase(transfer);
}

void OutgoingTransfers::push(const PushPlan& plan, std::uint32_t layer, bool last_layer) {
  const std::lock_guard lock{mutex_};              // held over send: an abort comes before or after, never between
  const auto entry = open_.find(plan.transfer);
  if (entry == open_.end()) return;
  if (plan.block_begin < plan.block_end) {
    fabric_.send(peer_id(plan.peer), plan.transfer.value, slots_.part(entry->second, layer, plan.block_begin, plan.block_end));
  }
  if (plan.last && last_layer) fabric_.close_sends(plan.transfer.value);
}

}  // namespace baton
