#include "actors/gateway_hub.h"

#include <atomic>
#include <random>
#include <unordered_map>

#include "actors/caf_types.h"
#include "actors/request_actor.h"
#include "runtime/base/random.h"
#include "runtime/cluster/membership.h"

namespace baton {
namespace {

constexpr Duration kClusterDeadline = Milliseconds{400};      // within the 500 ms that Backend promises

struct Submit {
  std::shared_ptr<RequestSpec> spec;
  std::shared_ptr<gateway::RequestSink> sink;
};
struct Cancel {
  RequestId request;
};
struct LookAtCluster {
  std::function<void(gateway::ClusterView)> done;
};
struct LookIsOver {
  std::uint64_t question = 0;
};

}  // namespace
}  // namespace baton
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::Submit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::Cancel)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::LookAtCluster)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::LookIsOver)
namespace baton {
namespace {

class HubBackend : public gateway::Backend {
 public:
  explicit HubBackend(InstanceRef self) : self_(self) {
    // Ids of two gateways, or of two lives of one, are ranges of a 57-bit space that start at random.
    std::random_device entropy;
    const std::uint64_t drawn = (std::uint64_t{entropy()} << 32) ^ entropy();
    next_ = mix64(drawn ^ mix64(self.id.value) ^ self.incarnation.value);
  }

  InstanceRef self() const override { return self_; }
  RequestId next_request_id() override { return RequestId{next_.fetch_add(1, std::memory_order_relaxed) * kChoiceStride}; }
  void submit(RequestSpec spec, std::shared_ptr<gateway::RequestSink> sink) override {
    caf::anon_send(hub_, Submit{std::make_shared<RequestSpec>(std::move(spec)), std::move(sink)});
  }
  void cancel(RequestId request) override { caf::anon_send(hub_, Cancel{request}); }
  void cluster(std::function<void(gateway::ClusterView)> done) override { caf::anon_send(hub_, LookAtCluster{std::move(done)}); }
  bool ready() const override { return ready_.load(std::memory_order_relaxed); }

  void attach(caf::actor hub) { hub_ = std::move(hub); }
  void set_ready(bool ready) { ready_.store(ready, std::memory_order_relaxed); }

 private:
  InstanceRef self_;
  caf::actor hub_;
  std::atomic<std::uint64_t> next_;
  std::atomic<bool> ready_{false};
};

// What is known of the cluster's nodes, for ClusterView.
class ClusterBook {
 public:
  ClusterBook(const Hello& self, const std::vector<NodeConfig>& nodes) {
    for (const NodeConfig& node : nodes) {
      gateway::NodeView view;
      view.hello.name = node.name;
      view.hello.role = node.role;
      view.hello.control_address = to_string(node.control);
      view.state = "starting";
      if (node.name == self.name) {
        view.hello = self;
        view.state = "ready";
      }
      nodes_.push_back(std::move(view));
    }
  }
  void joined(const Hello& hello) {
    if (gateway::NodeView* node = find(hello.name)) {
      node->stats = {};
      node->hello = hello;
      node->state = "ready";
    }
  }
  void left(const Hello& hello) {
    set_state(hello.name, "down");
    if (gateway::NodeView* node = find(hello.name)) node->stats.load = {};       // what it held went with it; counters stay
  }
  void refused(const std::string& name) { set_state(name, "refused"); }
  void report(const LoadReport& load) {
    if (gateway::NodeView* node = find(load.self)) take(*node, load);
  }
  void stats(const NodeStats& stats) {
    if (gateway::NodeView* node = find(stats.self)) {
      node->stats = stats;
      take(*node, stats.load);
    }
  }
  const std::vector<gateway::NodeView>& nodes() const { return nodes_; }

 private:
  static void take(gateway::NodeView& node, const LoadReport& load) {
    node.stats.load = load;
    if (node.state == "ready" || node.state == "draining") node.state = load.draining ? "draining" : "ready";
  }
  void set_state(const std::string& name, const char* state) {
    if (gateway::NodeView* node = find(name)) node->state = state;
  }
  gateway::NodeView* find(const std::string& name) {
    for (auto& node : nodes_) {
      if (node.hello.name == name) return &node;
    }
    return nullptr;
  }
  gateway::NodeView* find(const InstanceRef& ref) {
    for (auto& node : nodes_) {
      if (node.hello.self == ref) return &node;
    }
    return nullptr;
  }
  std::vector<gateway::NodeView> nodes_;
};

class HubShell {
 public:
  HubShell(caf::event_based_actor* self, std::shared_ptr<HubBackend> backend, Hello hello, std::vector<NodeConfig> nodes,
           std::shared_ptr<const Tokenizer> tokenizer)
      : self_(self), backend_(std::move(backend)), ref_(hello.self), book_(hello, nodes), tokenizer_(std::move(tokenizer)) {}

  // ---- requests ----

  void submit(const Submit& m) {
    const RequestId id = m.spec->id;
    requests_[id] = {spawn_request(self_, std::move(*m.spec), m.sink, tokenizer_), false};
  }
  void cancel(const Cancel& m) { tell_request(m.request, CancelByClient{}); }
  void gone(const RequestGone& m) { requests_.erase(m.request); }

  void tokens(StepTokens& m) {
    const auto step = std::make_shared<const StepTokens>(std::move(m));
    for (std::uint32_t i = 0; i < step->tokens.size(); ++i) {
      const auto request = requests_.find(of_client(step->tokens[i].key.request));
      if (request == requests_.end()) continue;
      request->second.started = true;
      self_->send(request->second.actor, TokenArrived{step, i});
    }
  }
  template <class Message>
  void for_request(Message& m) {
    tell_request(of_client(m.key.request), std::move(m));
  }

  void to_instance(RouteToInstance& m) {
    const auto peer = peers_.find(m.to);
    if (peer != peers_.end()) {
      self_->send(peer->second.role, std::move(m.message));
    } else {
      self_->send(caf::actor_cast<caf::actor>(self_->current_sender()), InstanceLost{m.to});
    }
  }
  void to_scheduler(RouteToScheduler& m) {
    if (scheduler_) self_->send(scheduler_, caf::make_message(ref_) + m.message);
  }

  // ---- peers ----

  void joined(const PeerJoined& m) {
    peers_[m.hello->self] = m;
    book_.joined(*m.hello);
    if (m.hello->role == Role::scheduler) scheduler_ = m.role;
    update_ready();
  }
  void left(const PeerLeft& m) {
    if (peers_.erase(m.hello->self) == 0) return;
    book_.left(*m.hello);
    if (m.hello->role == Role::scheduler) scheduler_ = nullptr;
    update_ready();
    for (const auto& [id, request] : requests_) self_->send(request.actor, InstanceLost{m.hello->self});
  }
  void refused(const PeerRefused& m) { book_.refused(m.name); }
  void report(const LoadReport& m) { book_.report(m); }

  // ---- looking at the cluster ----

  void look(const LookAtCluster& m) {
    const std::uint64_t question = ++questions_;
    looks_[question] = {m.done, peers_.size()};
    for (const auto& [ref, peer] : peers_) to_peer(self_, peer.role, StatsRequest{ref_, question});
    if (peers_.empty()) return finish_look(question);
    self_->delayed_send(self_, kClusterDeadline, LookIsOver{question});
  }
  void stats(const NodeStats& m) {
    book_.stats(m);
    const auto look = looks_.find(m.question);
    if (look != looks_.end() && --look->second.missing == 0) finish_look(m.question);
  }
  void finish_look(std::uint64_t question) {
    const auto look = looks_.find(question);
    if (look == looks_.end()) return;
    gateway::ClusterView view{.nodes = book_.nodes()};
    for (const auto& [id, request] : requests_) ++(request.started ? view.requests_running : view.requests_waiting);
    const auto done = std::move(look->second.done);
    looks_.erase(look);
    done(std::move(view));
  }

 private:
  struct Request {
    caf::actor actor;
    bool started = false;                  // its first token came
  };
  struct Look {
    std::function<void(gateway::ClusterView)> done;
    std::size_t missing = 0;
  };

  // A choice that was dispatched by itself has an id of its own, close above its request's.
  static RequestId of_client(RequestId id) { return RequestId{id.value - id.value % kChoiceStride}; }

  template <class Message>
  void tell_request(RequestId id, Message&& message) {
    const auto request = requests_.find(id);
    if (request != requests_.end()) self_->send(request->second.actor, std::forward<Message>(message));
  }
  void update_ready() {
    std::vector<Hello> instances;
    for (const auto& [ref, peer] : peers_) {
      if (is_instance(peer.hello->role)) instances.push_back(*peer.hello);
    }
    backend_->set_ready(scheduler_ && can_serve(instances));
  }

  caf::event_based_actor* self_;
  std::shared_ptr<HubBackend> backend_;
  InstanceRef ref_;
  ClusterBook book_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  caf::actor scheduler_;
  std::unordered_map<InstanceRef, PeerJoined> peers_;
  std::unordered_map<RequestId, Request> requests_;
  std::unordered_map<std::uint64_t, Look> looks_;
  std::uint64_t questions_ = 0;
};

caf::behavior hub_behavior(caf::event_based_actor* self, std::shared_ptr<HubShell> s) {
  drop_unexpected(self);
  return {
      [s](StepTokens& m) { s->tokens(m); },
      [s](RouteToInstance& m) { s->to_instance(m); },
      [s](RouteToScheduler& m) { s->to_scheduler(m); },
      [s](Submit& m) { s->submit(m); },
      [s](const Cancel& m) { s->cancel(m); },
      [s](const RequestGone& m) { s->gone(m); },
      [s](Assigned& m) { s->for_request(m); },
      [s](AssignRefused& m) { s->for_request(m); },
      [s](PromptScores& m) { s->for_request(m); },
      [s](AttemptFailed& m) { s->for_request(m); },
      [s](const LoadReport& m) { s->report(m); },
      [s](const NodeStats& m) { s->stats(m); },
      [s](const StatsRequest&) {},
      [s](const PeerJoined& m) { s->joined(m); },
      [s](const PeerLeft& m) { s->left(m); },
      [s](const PeerRefused& m) { s->refused(m); },
      [s](const LookAtCluster& m) { s->look(m); },
      [s](const LookIsOver& m) { s->finish_look(m.question); },
      [self](DrainNow, const caf::actor& asker) { self->send(asker, Drained{}); },
  };
}

}  // namespace

GatewayHub spawn_gateway_hub(caf::actor_system& system, Hello hello, std::vector<NodeConfig> nodes,
                             std::shared_ptr<const Tokenizer> tokenizer) {
  auto backend = std::make_shared<HubBackend>(hello.self);
  const caf::actor hub = system.spawn([=](caf::event_based_actor* self) {
    return hub_behavior(self, std::make_shared<HubShell>(self, backend, hello, nodes, tokenizer));
  });
  backend->attach(hub);
  return {hub, backend};
}

}  // namespace baton
