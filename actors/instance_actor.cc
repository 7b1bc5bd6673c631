#include "actors/instance_actor.h"

#include <spdlog/spdlog.h>

#include <unordered_map>

#include "actors/caf_types.h"

namespace baton {
namespace {

constexpr Duration kFabricRetry = Milliseconds{500};

struct RetryFabric {                       // the data plane lost a peer that the control plane still has
  InstanceRef peer;
};

}  // namespace
}  // namespace baton
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::RetryFabric)
namespace baton {
namespace {

class InstanceShell {
 public:
  InstanceShell(caf::event_based_actor* self, InstanceCore core, std::shared_ptr<InstanceHost> host, InstanceRef ref)
      : self_(self), core_(std::move(core)), host_(std::move(host)), ref_(ref) {
    host_->start([to = caf::actor_cast<caf::actor>(caf::actor_cast<caf::strong_actor_ptr>(self))](InstanceEvent event) {
      caf::anon_send(to, EventBox{std::make_shared<InstanceEvent>(std::move(event))});
    });
    apply(core_.on(Tick{}, steady_now()));
  }
  ~InstanceShell() { host_->start(nullptr); }

  template <class Event>
  void feed(const Event& event) {
    apply(core_.on(event, steady_now()));
  }

  void feed_local(InstanceEvent& event) {
    std::visit([this](auto& e) { local(e); }, event);
  }

  void joined(const PeerJoined& peer) {
    const Hello& hello = *peer.hello;
    peers_[hello.self] = peer;
    if (is_instance(hello.role)) {
      host_->connect(hello);
      by_fabric_id_[peer_id(hello.self)] = hello.self;
      feed(PeerUp{hello.self});
    } else {
      to_peer(self_, peer.role, core_.load());     // so that a new scheduler knows the load before it assigns
    }
  }

  void left(const PeerLeft& peer) {
    const InstanceRef ref = peer.hello->self;
    if (peers_.erase(ref) == 0) return;
    if (is_instance(peer.hello->role)) {
      host_->disconnect(ref);
      by_fabric_id_.erase(peer_id(ref));
    }
    feed(PeerDown{ref});
  }

  void retry_fabric(const RetryFabric& retry) {
    if (const auto peer = peers_.find(retry.peer); peer != peers_.end()) host_->connect(*peer->second.hello);
  }

  void alarm() {
    const LazyTimer::Rung rung = timer_.ring(steady_now());
    if (rung.alarm) send_alarm(self_, *rung.alarm);
    if (rung.due) feed(Tick{});
    tell_if_drained();
  }

  void drain(caf::actor asker) {
    drain_asker_ = std::move(asker);
    apply(core_.drain(steady_now()));
    tell_if_drained();
  }

  NodeStats stats(const StatsRequest& request) const {
    const InstanceStats& counted = core_.stats();
    const transport::FabricStats moved = host_->fabric_stats();
    return {.self = ref_,
            .question = request.question,
            .load = core_.load(),
            .prompt_tokens_computed = counted.prompt_tokens_computed,
            .prompt_tokens_cached = counted.prompt_tokens_cached,
            .recomputed_tokens = counted.recomputed_tokens,
            .generated_tokens = counted.generated_tokens,
            .preemptions = counted.preemptions,
            .leases_ended = counted.leases_ended,
            .prefix_queries_tokens = counted.prefix_queries_tokens,
            .prefix_hits_tokens = counted.prefix_hits_tokens,
            .transport = host_->transport_name(),
            .kv_bytes_received = moved.bytes_received,
            .kv_bytes_sent = moved.bytes_sent,
            .kv_blocks_verified = moved.slots_verified,
            .kv_rejected_digest = moved.slots_rejected_digest,
            .kv_rejected_no_grant = moved.slots_rejected_no_grant,
            .kv_rejected_other = moved.slots_rejected_other};
  }

 private:
  template <class Event>
  void local(const Event& event) {
    feed(event);
  }
  void local(const SendsComplete& event) {
    host_->sends_completed(event.transfer);
    feed(event);
  }
  void local(const FabricPeerReady& event) {
    const auto known = by_fabric_id_.find(event.peer);
    if (known != by_fabric_id_.end()) feed(KvLinkUp{known->second});
  }
  void local(const FabricPeerFailed& event) {
    const auto known = by_fabric_id_.find(event.peer);
    if (known == by_fabric_id_.end()) return;
    spdlog::warn("the data plane lost {}: {}", name_of(known->second), event.why);
    feed(KvLinkDown{known->second});
    self_->delayed_send(self_, kFabricRetry, RetryFabric{known->second});
  }

  std::string name_of(const InstanceRef& ref) const {
    const auto peer = peers_.find(ref);
    return peer == peers_.end() ? "a peer" : peer->second.hello->name;
  }

  void apply(InstanceCommands commands) {
    for (InstanceCommand& command : commands) std::visit([this](auto& c) { carry_out(c); }, command);
  }

  template <class Message>
  void carry_out(SendTo<Message>& command) {
    const auto peer = peers_.find(command.to);
    if (peer != peers_.end()) to_peer(self_, peer->second.role, std::move(command.message));
  }
  void carry_out(LoadReport& report) {
    for (const auto& [ref, peer] : peers_) {
      if (!is_instance(peer.hello->role)) to_peer(self_, peer.role, report);
    }
    tell_if_drained();
  }
  void carry_out(SetTimer& command) {
    if (const auto alarm_at = timer_.want(command.at, steady_now())) send_alarm(self_, *alarm_at);
  }
  template <class ForHost>
  void carry_out(ForHost& command) {
    host_->carry_out(std::move(command));
  }

  void tell_if_drained() {
    if (!drain_asker_ || !core_.idle()) return;
    self_->send(drain_asker_, Drained{});
    drain_asker_ = nullptr;
  }

  caf::event_based_actor* self_;
  InstanceCore core_;
  std::shared_ptr<InstanceHost> host_;
  InstanceRef ref_;
  LazyTimer timer_;
  std::unordered_map<InstanceRef, PeerJoined> peers_;
  std::unordered_map<transport::PeerId, InstanceRef> by_fabric_id_;
  caf::actor drain_asker_;
};

caf::behavior instance_behavior(caf::event_based_actor* self, std::shared_ptr<InstanceShell> shell) {
  drop_unexpected(self);
  self->attach_functor([shell]() mutable { shell.reset(); });
  InstanceShell* s = shell.get();
  return {
      [s](EventBox& box) { s->feed_local(*box.event); },
      [s](const PrefillRequest& m) { s->feed(m); },
      [s](const DecodeRequest& m) { s->feed(m); },
      [s](const CancelRequest& m) { s->feed(m); },
      [s](const Reserve& m) { s->feed(m); },
      [s](const Offer& m) { s->feed(m); },
      [s](const Grant& m) { s->feed(m); },
      [s](const RenewLease& m) { s->feed(m); },
      [s](const Release& m) { s->feed(m); },
      [s](const Withdraw& m) { s->feed(m); },
      [s](const StatsRequest& m) { return s->stats(m); },
      [s](const PeerJoined& m) { s->joined(m); },
      [s](const PeerLeft& m) { s->left(m); },
      [](const PeerRefused&) {},
      [s](const RetryFabric& m) { s->retry_fabric(m); },
      [s](AlarmRang) { s->alarm(); },
      [s](DrainNow, const caf::actor& asker) { s->drain(asker); },
  };
}

}  // namespace

caf::actor spawn_instance(caf::actor_system& system, InstanceCore core, std::shared_ptr<InstanceHost> host, InstanceRef ref) {
  auto parts = std::make_shared<std::pair<InstanceCore, std::shared_ptr<InstanceHost>>>(std::move(core), std::move(host));
  return system.spawn([parts, ref](caf::event_based_actor* self) mutable {
    auto shell = std::make_shared<InstanceShell>(self, std::move(parts->first), std::move(parts->second), ref);
    parts.reset();
    return instance_behavior(self, std::move(shell));
  });
}

}  // namespace baton
