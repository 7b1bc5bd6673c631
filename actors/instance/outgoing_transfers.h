// The transfers that this instance sends under, so that the device's thread can push the layers of a step while the actor opens and
// aborts them. Nothing is handed to the fabric under a transfer that was aborted before.
#pragma once

#include <mutex>
#include <unordered_map>

#include "actors/instance/kv_slots.h"
#include "actors/instance/step_runner.h"
#include "transport/fabric.h"

namespace baton {

// The name of one life of an instance on the data plane.
transport::PeerId peer_id(const InstanceRef& instance);

class OutgoingTransfers : public LayerPush {
 public:
  OutgoingTransfers(KvSlots slots, transport::Fabric& fabric) : slots_(slots), fabric_(fabric) {}

  void open(const SendBlocks& command);            // pull: sends everything; push by layer: waits for push()
  void abort(TransferId transfer);
  void forget(TransferId transfer);                // its sends are complete
  void push(const PushPlan& plan, std::uint32_t layer, bool last_layer) override;

 private:
  KvSlots slots_;
  transport::Fabric& fabric_;
  std::mutex mutex_;
  std::unordered_map<TransferId, KvRun> open_;     // guarded
};

}  // namespace baton
