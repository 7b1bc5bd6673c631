#include "actors/node_process.h"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>

#include "actors/built_in_types.h"
#include "actors/caf_types.h"
#include "actors/control_system.h"
#include "actors/node_actor.h"
#include "actors/node_variables.h"
#include "actors/user_paths.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {

Error misconfigured(std::string message) { return Error{ErrorCode::invalid_config, Scope::instance, std::move(message)}; }

// SIGTERM and SIGINT are waited for, never caught. The main thread calls this before any other thread is started, so that all
// inherit the mask; SIGUSR2 wakes the main thread when one of the node's actors died.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

// Another at every start, and greater unless the clock was set back: then the cluster takes it once the last one is known to be down.
Incarnation incarnation_now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return Incarnation{static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count())};
}

std::vector<ExpectedNode> expected_nodes(const ClusterConfig& cluster) {
  std::vector<ExpectedNode> nodes;
  for (const NodeConfig& node : cluster.nodes) nodes.push_back({node.name, node.role, to_string(node.control)});
  return nodes;
}

// Everything of a running node, in the order of making; the destructor ends it in the other.
class Node {
 public:
  Node(ClusterConfig cluster, const NodeConfig& config) : cluster_(std::move(cluster)), config_(config) {}
  ~Node() {
    front_.reset();
    if (probe_ != nullptr) probe_->stop();             // it must not call actors of a system that is gone
    for (caf::actor* actor : {&node_, &role_}) {
      if (*actor) caf::anon_send_exit(*actor, caf::exit_reason::user_shutdown);
      *actor = nullptr;
    }
    control_.reset();                                  // waits for the actors
  }

  Status start() {
    const SecurityConfig& security = cluster_.security;
    auto keys = keys_of(security, config_.name);
    if (!keys) return keys.error();
    auto control = ControlSystem::start({.keys = *keys,
                                         .heartbeat = cluster_.control.heartbeat,
                                         .timeout = cluster_.control.timeout,
                                         .threads = cluster_.control.threads});
    if (!control) return control.error();
    control_ = std::move(*control);
    types_ = std::make_shared<ActorTypes>();
    if (Status status = add_built_in_types(*types_); !status) return status;
    const SpawnContext context{.system = &control_->system(),
                               .cluster = &cluster_,
                               .node = &config_,
                               .self = {InstanceId{hash64(config_.name)}, incarnation_now()},
                               .arguments = {}};
    auto spawned = types_->spawn(to_string(config_.role), context);
    if (!spawned) return spawned.error();
    role_ = spawned->actor.hand_over();
    front_ = spawned->front;
    probe_ = std::make_shared<ConnectProbe>();
    const pid_t main_thread = ::gettid();
    node_ = spawn_node_actor(control_->system(),
                             {.membership = Membership{{.self = spawned->hello, .nodes = expected_nodes(cluster_)}},
                              .dialler = control_->dialler(),
                              .probe = probe_,
                              .role = role_,
                              .types = types_,
                              .context = context,
                              .on_role_down = [this, main_thread](const std::string& why) { gave_way("role", why, main_thread); }});
    node_->attach_functor([this, main_thread](const caf::error& reason) {
      if (reason != caf::exit_reason::user_shutdown) gave_way("node", control_->system().render(reason), main_thread);
    });
    const auto port = control_->publish(node_, config_.control.host, config_.control.port);
    return port ? ok() : Status{port.error()};
  }

  // Nothing yet, or what to tell the operator once requests can be served.
  std::optional<std::string> ready() const {
    if (front_ == nullptr) return config_.name + " " + to_string(config_.control);
    return front_->ready() ? std::optional{front_->address()} : std::nullopt;
  }

  void drain(Duration limit) {
    if (front_ != nullptr) front_->drain_and_stop(limit);
    caf::scoped_actor self{control_->system()};
    self->send(role_, DrainNow{}, caf::actor_cast<caf::actor>(self.ptr()));
    self->receive([](Drained) {}, caf::after(limit) >> [] { spdlog::warn("not everything was finished in time"); });
  }

  bool actor_down() const { return actor_down_; }

 private:
  void gave_way(const char* which, const std::string& why, pid_t main_thread) {
    spdlog::critical("the {} actor of {} ended: {}", which, config_.name, why);
    actor_down_ = true;
    ::tgkill(::getpid(), main_thread, SIGUSR2);
  }

  ClusterConfig cluster_;
  NodeConfig config_;
  std::unique_ptr<ControlSystem> control_;
  std::shared_ptr<ActorTypes> types_;
  std::shared_ptr<ConnectProbe> probe_;
  caf::actor role_;
  caf::actor node_;
  std::shared_ptr<Front> front_;
  std::atomic<bool> actor_down_{false};
};

// Until a signal comes. Says once on stdout that the node is ready.
void wait_for_signal(const Node& node, const sigset_t& signals) {
  bool told = false;
  while (true) {
    if (!told) {
      if (const auto address = node.ready()) {
        std::printf("ready %s\n", address->c_str());
        std::fflush(stdout);
        told = true;
      }
    }
    const timespec soon{0, 10'000'000};
    const int signal = told ? ::sigwaitinfo(&signals, nullptr) : ::sigtimedwait(&signals, nullptr, &soon);
    if (signal > 0) return;
  }
}

}  // namespace

Result<std::optional<KeyFiles>> keys_of(const SecurityConfig& security, const std::string& node) {
  if (security.insecure) return std::optional<KeyFiles>{};
  const auto named = [&](std::string path) {
    constexpr std::string_view kName = "{name}";
    if (const std::size_t at = path.find(kName); at != std::string::npos) path.replace(at, kName.size(), node);
    return path;
  };
  const KeyFiles files{named(security.certificate), named(security.key), named(security.ca)};
  if (files.certificate.empty() || files.key.empty() || files.authority.empty()) {
    return misconfigured(fmt::format(
        "the control plane needs keys: run `baton keys init DIR` and `baton keys issue DIR {}`, and set security.ca, certificate "
        "and key in the cluster file; or give --insecure if everybody who can reach this machine's ports may control it", node));
  }
  return std::optional{files};
}

NodeEnd run_node(ClusterConfig cluster, const NodeOptions& options) {
  if (const auto variables = node_variables(); !variables) return {false, variables.error()};
  const NodeConfig* config = cluster.find(options.name);
  if (config == nullptr) {
    std::string names;
    for (const NodeConfig& node : cluster.nodes) names += (names.empty() ? "" : ", ") + node.name;
    return {false, misconfigured(fmt::format("the cluster file has no node \"{}\"; it has: {}", options.name, names))};
  }
  NodeConfig own = *config;
  if (own.model.empty()) own.model = cluster.model.empty() ? default_model_path() : cluster.model;
  const sigset_t signals = block_signals();
  Node node{std::move(cluster), own};
  if (Status status = node.start(); !status) return {false, status};
  wait_for_signal(node, signals);
  if (node.actor_down()) {
    return {true, Error{ErrorCode::internal, Scope::instance, fmt::format("an actor of {} ended; start it again", own.name)}};
  }
  spdlog::info("draining");
  sigset_t interrupts = signals;
  ::pthread_sigmask(SIG_UNBLOCK, &interrupts, nullptr);    // a second signal ends the process at once
  node.drain(options.drain);
  return {true, ok()};
}

}  // namespace baton
