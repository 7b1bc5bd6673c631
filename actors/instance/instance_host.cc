#include "actors/instance/instance_host.h"

#include <utility>

namespace baton {

InstanceHost::InstanceHost(std::unique_ptr<Device> device, KvSlots slots, StepRunnerOptions options)
    : device_(std::move(device)), slots_(slots), options_(std::move(options)) {}

InstanceHost::~InstanceHost() {
  start(nullptr);                                  // the actor is gone: events of the threads that end go nowhere
  worker_.reset();
  fabric_.reset();
}

Result<std::unique_ptr<InstanceHost>> InstanceHost::make(std::unique_ptr<Device> device, const FabricFactory& make_fabric,
                                                         StepRunnerOptions options) {
  auto slots = KvSlots::of(*device);
  if (!slots) return slots.error();
  std::unique_ptr<InstanceHost> host{new InstanceHost(std::move(device), *slots, std::move(options))};
  auto fabric = make_fabric(*host);
  if (!fabric) return fabric.error();
  host->fabric_ = std::move(*fabric);
  host->outgoing_ = std::make_unique<OutgoingTransfers>(host->slots_, *host->fabric_);
  host->worker_ = std::make_unique<DeviceWorker>(
      [raw = host.get()](const StartStep& step) {
        return run_step(*raw->device_, step, &raw->slots_, raw->outgoing_.get(), raw->options_);
      },
      [raw = host.get()](InstanceEvent event) { raw->post(std::move(event)); });
  return host;
}

void InstanceHost::start(PostInstanceEvent post) {
  const std::lock_guard lock{post_mutex_};
  post_ = std::move(post);
}

void InstanceHost::post(InstanceEvent event) {
  const std::lock_guard lock{post_mutex_};
  if (post_) post_(std::move(event));
}

void InstanceHost::carry_out(StartStep command) { worker_->submit(std::move(command)); }

void InstanceHost::carry_out(const AcceptTransfer& command) {
  const KvRun run{command.blocks, command.prefix, command.tokens};
  fabric_->grant({.transfer = command.transfer.value,
                  .from = peer_id(command.from),
                  .slots = slots_.all(run),
                  .deadline_ns = command.deadline.count()});
}

void InstanceHost::carry_out(const DropTransfer& command) { fabric_->drop_grant(command.transfer.value); }
void InstanceHost::carry_out(const SendBlocks& command) { outgoing_->open(command); }
void InstanceHost::carry_out(const AbortSends& command) { outgoing_->abort(command.transfer); }
void InstanceHost::sends_completed(TransferId transfer) { outgoing_->forget(transfer); }

void InstanceHost::connect(const Hello& peer) { fabric_->connect(peer_id(peer.self), peer.data_address, peer.data_token); }
void InstanceHost::disconnect(const InstanceRef& peer) { fabric_->disconnect(peer_id(peer)); }

std::string InstanceHost::data_address() const { return fabric_->address(); }
transport::FabricStats InstanceHost::fabric_stats() const { return fabric_->stats(); }
const char* InstanceHost::transport_name() const { return fabric_->transport_name(); }

void InstanceHost::on_slots_landed(transport::Transfer transfer, const std::vector<std::uint32_t>& slots,
                                   const std::vector<std::uint64_t>& digests) {
  post(SlotsLanded{TransferId{transfer}, slots, digests});
}

// What came under no grant, a stranger's or a repeat, is counted by the fabric and must not end a transfer that it only names.
void InstanceHost::on_slot_rejected(transport::Transfer transfer, std::uint32_t slot, transport::RejectReason reason) {
  if (reason == transport::RejectReason::no_grant) return;
  post(SlotRejected{TransferId{transfer}, slot});
}

void InstanceHost::on_transfer_failed(transport::Transfer transfer, const std::string& why) {
  post(TransferFailed{TransferId{transfer}, Error{ErrorCode::transfer_failed, Scope::transfer, why}});
}

void InstanceHost::on_sends_complete(transport::Transfer transfer, bool failed) {
  post(SendsComplete{TransferId{transfer}, failed});
}

void InstanceHost::on_peer_ready(transport::PeerId peer) { post(FabricPeerReady{peer}); }

void InstanceHost::on_peer_failed(transport::PeerId peer, const std::string& why) {
  post(FabricPeerFailed{peer, why});
}

}  // namespace baton
