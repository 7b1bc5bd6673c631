// What the device worker and the fabric tell an instance's actor.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "runtime/instance/instance_events.h"
#include "transport/fabric.h"

namespace baton {

struct FabricPeerReady {
  transport::PeerId peer = 0;
};
struct FabricPeerFailed {
  transport::PeerId peer = 0;
  std::string why;
};

using InstanceEvent =
    std::variant<StepDone, StepFailed, SlotsLanded, SlotRejected, TransferFailed, SendsComplete, FabricPeerReady, FabricPeerFailed>;
using PostInstanceEvent = std::function<void(InstanceEvent)>;     // from any thread; returns at once

}  // namespace baton
