#include "actors/scheduler_actor.h"

#include <unordered_map>

#include "actors/caf_types.h"

namespace baton {
namespace {

class SchedulerShell {
 public:
  SchedulerShell(caf::event_based_actor* self, SchedulerCore core, InstanceRef ref)
      : self_(self), core_(std::move(core)), ref_(ref) {}

  void joined(const PeerJoined& peer) {
    peers_[peer.hello->self] = peer;
    if (is_instance(peer.hello->role)) apply(core_.on(InstanceJoined{*peer.hello}, steady_now()));
  }
  void left(const PeerLeft& peer) {
    const InstanceRef ref = peer.hello->self;
    if (peers_.erase(ref) == 0) return;
    if (is_instance(peer.hello->role)) {
      apply(core_.on(InstanceLeft{ref}, steady_now()));
    } else {
      apply(core_.on(GatewayLeft{ref}, steady_now()));
    }
  }
  void feed(const LoadReport& report) { apply(core_.on(report, steady_now())); }
  template <class Message>
  void feed(const InstanceRef& gateway, const Message& message) {
    apply(core_.on(gateway, message, steady_now()));
  }
  NodeStats stats(const StatsRequest& request) const { return {.self = ref_, .question = request.question}; }

 private:
  void apply(SchedulerCommands commands) {
    for (SchedulerCommand& command : commands) {
      std::visit([this](auto& reply) {
        const auto gateway = peers_.find(reply.gateway);
        if (gateway != peers_.end()) to_peer(self_, gateway->second.role, std::move(reply.message));
      }, command);
    }
  }

  caf::event_based_actor* self_;
  SchedulerCore core_;
  InstanceRef ref_;
  std::unordered_map<InstanceRef, PeerJoined> peers_;
};

}  // namespace

caf::actor spawn_scheduler(caf::actor_system& system, SchedulerCore core, InstanceRef ref) {
  auto given = std::make_shared<SchedulerCore>(std::move(core));
  return system.spawn([given, ref](caf::event_based_actor* self) -> caf::behavior {
    drop_unexpected(self);
    auto s = std::make_shared<SchedulerShell>(self, std::move(*given), ref);
    return {
        [s](const InstanceRef& gateway, const AssignRequest& m) { s->feed(gateway, m); },
        [s](const InstanceRef& gateway, const RequestEnded& m) { s->feed(gateway, m); },
        [s](const LoadReport& m) { s->feed(m); },
        [s](const StatsRequest& m) { return s->stats(m); },
        [s](const PeerJoined& m) { s->joined(m); },
        [s](const PeerLeft& m) { s->left(m); },
        [](const PeerRefused&) {},
        [self](DrainNow, const caf::actor& asker) { self->send(asker, Drained{}); },
    };
  });
}

}  // namespace baton
