// What the parts of a simulated cluster share: virtual time, what is still to happen, and the messages on their way.
//
// A party is an instance (its index), the gateway or the scheduler. A message takes the control latency, whatever its size; KV goes over
// the network (runtime/sim/virtual_fabric.h). Events are small; a message waits in a slot that is used again.
// Thread: none.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/instance/instance_events.h"
#include "runtime/sim/event_queue.h"

namespace baton::sim {

using VirtualMessage = std::variant<PrefillRequest, DecodeRequest, CancelRequest, Reserve, Offer, Grant, RenewLease, Release, Withdraw,
                                    SlotsLanded, SendsComplete,                        // to an instance
                                    Assigned, AssignRefused, StepTokens, PromptScores, AttemptFailed,      // to the gateway
                                    AssignRequest, RequestEnded, LoadReport>;          // to the scheduler

struct VirtualEvent {
  enum class Kind : std::uint8_t { arrival, message, step_end, network, instance_timer, request_timer };
  Kind kind = Kind::message;
  std::uint32_t party = 0;                 // whom it happens to; arrival and request_timer: the request
  std::uint32_t slot = 0;                  // message: where it waits
  bool is_timer() const { return kind == Kind::instance_timer || kind == Kind::request_timer; }
};

class VirtualWorld {
 public:
  VirtualWorld(std::uint32_t instances, Duration latency) : instances_(instances), latency_(latency) {}

  Instant now() const { return now_; }
  std::uint32_t instances() const { return instances_; }
  std::uint32_t gateway() const { return instances_; }
  std::uint32_t scheduler() const { return instances_ + 1; }
  static InstanceRef ref_of(std::uint32_t party) { return {InstanceId{party + 1u}, Incarnation{1}}; }
  static std::uint32_t party_of(const InstanceRef& ref) { return static_cast<std::uint32_t>(ref.id.value - 1); }

  void post(std::uint32_t party, VirtualMessage message) { deliver_at(now_ + latency_, party, std::move(message)); }
  void deliver_at(Instant at, std::uint32_t party, VirtualMessage message) {
    std::uint32_t slot = static_cast<std::uint32_t>(mail_.size());
    if (free_.empty()) {
      mail_.push_back(std::move(message));
    } else {
      slot = free_.back();
      free_.pop_back();
      mail_[slot] = std::move(message);
    }
    schedule(at, {VirtualEvent::Kind::message, party, slot});
  }
  VirtualMessage take(std::uint32_t slot) {
    free_.push_back(slot);
    return std::move(mail_[slot]);
  }

  void schedule(Instant at, VirtualEvent event) {
    pending_ += event.is_timer() ? 0 : 1;
    events_.add(at, event);
  }
  // The next event, at whose time it then is. There must be one.
  VirtualEvent next() {
    const auto entry = events_.take();
    now_ = entry.at;
    pending_ -= entry.event.is_timer() ? 0 : 1;
    ++happened_;
    return entry.event;
  }
  bool empty() const { return events_.empty(); }
  std::size_t pending() const { return pending_; }         // without timers: nothing moves by itself when there are none
  std::uint64_t happened() const { return happened_; }

 private:
  std::uint32_t instances_;
  Duration latency_;
  Instant now_;
  EventQueue<VirtualEvent> events_;
  std::vector<VirtualMessage> mail_;
  std::vector<std::uint32_t> free_;
  std::size_t pending_ = 0;
  std::uint64_t happened_ = 0;
};

// A timer that may be moved at will: one entry of the queue at a time. Moved to a later time, the entry goes on when it comes up.
class VirtualTimer {
 public:
  void set(Instant at, VirtualWorld& world, const VirtualEvent& event) {
    wanted_ = at;
    if (armed_ && *armed_ <= at) return;
    armed_ = at;
    world.schedule(at, event);
  }
  // Is an entry that came up the time that was set?
  bool rings(VirtualWorld& world, const VirtualEvent& event) {
    if (armed_ != world.now()) return false;
    armed_.reset();
    if (!wanted_) return false;
    if (*wanted_ > world.now()) {
      set(*wanted_, world, event);
      return false;
    }
    wanted_.reset();
    return true;
  }

 private:
  std::optional<Instant> wanted_, armed_;
};

}  // namespace baton::sim
