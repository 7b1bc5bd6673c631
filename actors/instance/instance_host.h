// An instance's hands: its device and its fabric, each on its own thread, behind the commands of its core. The actor that drives
// the core gives commands and gets events; neither ever waits for the other.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "actors/instance/device_worker.h"
#include "actors/instance/instance_event.h"
#include "actors/instance/kv_slots.h"
#include "actors/instance/outgoing_transfers.h"
#include "runtime/device/device.h"
#include "runtime/messages/membership.h"
#include "transport/fabric.h"

namespace baton {

class InstanceHost : private transport::FabricListener {
 public:
  // The fabric is made by the factory with this host as its listener.
  using FabricFactory = std::function<Result<std::unique_ptr<transport::Fabric>>(transport::FabricListener&)>;
  static Result<std::unique_ptr<InstanceHost>> make(std::unique_ptr<Device> device, const FabricFactory& make_fabric,
                                                    StepRunnerOptions options);
  ~InstanceHost() override;

  // Events go to `post` from now on; before, nothing was asked for and what the fabric saw is dropped.
  void start(PostInstanceEvent post);

  void carry_out(StartStep command);
  void carry_out(const AcceptTransfer& command);
  void carry_out(const DropTransfer& command);
  void carry_out(const SendBlocks& command);
  void carry_out(const AbortSends& command);
  void sends_completed(TransferId transfer);

  void connect(const Hello& peer);
  void disconnect(const InstanceRef& peer);

  std::string data_address() const;
  transport::FabricStats fabric_stats() const;
  const char* transport_name() const;
  Device& device() { return *device_; }

 private:
  InstanceHost(std::unique_ptr<Device> device, KvSlots slots, StepRunnerOptions options);
  void post(InstanceEvent event);

  void on_slots_landed(transport::Transfer transfer, const std::vector<std::uint32_t>& slots,
                       const std::vector<std::uint64_t>& digests) override;
  void on_slot_rejected(transport::Transfer transfer, std::uint32_t slot, transport::RejectReason reason) override;
  void on_transfer_failed(transport::Transfer transfer, const std::string& why) override;
  void on_sends_complete(transport::Transfer transfer, bool failed) override;
  void on_peer_ready(transport::PeerId peer) override;
  void on_peer_failed(transport::PeerId peer, const std::string& why) override;

  // In the order of making; the threads of the last two use what stands above them, and end first.
  std::unique_ptr<Device> device_;
  KvSlots slots_;
  StepRunnerOptions options_;
  std::mutex post_mutex_;
  PostInstanceEvent post_;                         // guarded
  std::unique_ptr<transport::Fabric> fabric_;
  std::unique_ptr<OutgoingTransfers> outgoing_;
  std::unique_ptr<DeviceWorker> worker_;
};

}  // namespace baton
