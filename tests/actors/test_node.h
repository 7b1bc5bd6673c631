// A node of a cluster inside the test's process: its own actor system over TLS on loopback, its node actor, and a role.
#pragma once

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <gtest/gtest.h>

#include <condition_variable>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "actors/caf_types.h"
#include "actors/network/connect_probe.h"
#include "actors/control_system.h"
#include "actors/network/local_ports.h"
#include "actors/node_actor.h"
#include "runtime/base/hash.h"

namespace baton {

// What happened, as lines, in order; tests wait for a line, never for a time.
class EventLog {
 public:
  void add(std::string line) {
    const std::lock_guard lock{mutex_};
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  // The line came `times` times.
  bool await(const std::string& line, std::ptrdiff_t times = 1, Duration limit = Milliseconds{20000}) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, limit, [&] { return std::count(lines_.begin(), lines_.end(), line) >= times; });
  }
  std::ptrdiff_t count(const std::string& line) {
    const std::lock_guard lock{mutex_};
    return std::count(lines_.begin(), lines_.end(), line);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

// A role that only writes down who came and went.
inline caf::actor spawn_recorder(caf::actor_system& system, std::shared_ptr<EventLog> log) {
  return system.spawn([log](caf::event_based_actor*) -> caf::behavior {
    return {
        [log](const PeerJoined& m) { log->add("joined " + m.hello->name); },
        [log](const PeerLeft& m) { log->add("left " + m.hello->name); },
        [log](const PeerRefused& m) { log->add("refused " + m.name); },
    };
  });
}

// Keys and ports that the nodes of one test share.
class TestCluster {
 public:
  explicit TestCluster(std::vector<std::pair<std::string, Role>> nodes) {
    std::string path = testing::TempDir() + "/cluster-XXXXXX";
    dir_ = ::mkdtemp(path.data());
    EXPECT_TRUE(make_authority(dir_ + "/keys").ok());
    auto ports = ReservedPorts::reserve("127.0.0.1", nodes.size());
    EXPECT_TRUE(ports.ok());
    ports_ = std::make_unique<ReservedPorts>(std::move(*ports));
    for (const auto& [name, role] : nodes) {
      EXPECT_TRUE(issue_key(dir_ + "/keys", name).ok());
      NodeConfig node;
      node.name = name;
      node.role = role;
      node.control = {"127.0.0.1", ports_->port(config.nodes.size())};
      config.nodes.push_back(node);
    }
  }
  ~TestCluster() { std::filesystem::remove_all(dir_); }

  KeyFiles keys(const std::string& name) const { return key_files(dir_ + "/keys", name); }
  Hello hello(const std::string& name) {
    Hello hello;
    hello.self = {InstanceId{hash64(name)}, Incarnation{++lives_}};
    hello.name = name;
    hello.role = config.find(name)->role;
    hello.control_address = to_string(config.find(name)->control);
    return hello;
  }

  ClusterConfig config;

 private:
  std::string dir_;
  std::unique_ptr<ReservedPorts> ports_;
  std::uint64_t lives_ = 0;
};

class TestNode {
 public:
  using SpawnRole = std::function<caf::actor(caf::actor_system&)>;
  // Without `spawn_role` the role is a recorder, of `log`.
  TestNode(TestCluster& cluster, Hello hello, SpawnRole spawn_role = nullptr) : hello_(std::move(hello)) {
    const NodeConfig* config = cluster.config.find(hello_.name);
    auto control = ControlSystem::start({.keys = cluster.keys(hello_.name)});
    EXPECT_TRUE(control.ok()) << control.error().message;
    control_ = std::move(*control);
    role_ = spawn_role ? spawn_role(control_->system()) : spawn_recorder(control_->system(), log);
    std::vector<ExpectedNode> nodes;
    for (const NodeConfig& node : cluster.config.nodes) nodes.push_back({node.name, node.role, to_string(node.control)});
    node_ = spawn_node_actor(control_->system(), {.membership = Membership{{.self = hello_, .nodes = nodes}},
                                                  .dialler = control_->dialler(),
                                                  .probe = probe_,
                                                  .role = role_,
                                                  .types = types,
                                                  .context = {.system = &control_->system(), .node = config},
                                                  .on_role_down = [log = log](const std::string&) { log->add("role down"); }});
    const auto port = control_->publish(node_, config->control.host, config->control.port);
    EXPECT_TRUE(port.ok()) << port.error().message;
  }
  ~TestNode() {
    probe_->stop();
    caf::anon_send_exit(node_, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(role_, caf::exit_reason::user_shutdown);
    node_ = role_ = nullptr;
    control_.reset();
  }

  caf::actor_system& system() { return control_->system(); }
  caf::io::middleman_actor dialler() { return control_->dialler(); }
  const caf::actor& role() const { return role_; }
  const caf::actor& node() const { return node_; }

  std::shared_ptr<EventLog> log = std::make_shared<EventLog>();
  std::shared_ptr<ActorTypes> types = std::make_shared<ActorTypes>();

 private:
  Hello hello_;
  std::unique_ptr<ControlSystem> control_;
  std::shared_ptr<ConnectProbe> probe_ = std::make_shared<ConnectProbe>();
  caf::actor role_;
  caf::actor node_;
};

}  // namespace baton
