// Types of actors by name: what a node can spawn, at its own start or asked by another node (SpawnActor). The built-in roles
// (gateway, scheduler, prefill, decode, mixed) are entries like any other, but for one thing: a role is its node's identity, so only the
// node's own start spawns one. Private to actors/*.cc and to those who add a type.
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/config/cluster_config.h"
#include "runtime/messages/membership.h"

namespace baton {

struct SpawnContext {
  caf::actor_system* system = nullptr;
  const ClusterConfig* cluster = nullptr;        // outlives every actor of the node
  const NodeConfig* node = nullptr;
  InstanceRef self;
  std::vector<std::pair<std::string, std::string>> arguments;
};

// What stands beside a role's actor, outside of CAF: a gateway's HTTP side. Called from the node's main thread.
class Front {
 public:
  virtual ~Front() = default;
  virtual std::string address() const = 0;       // where it can be reached: http://HOST:PORT
  virtual bool ready() const = 0;                // requests can be served
  virtual void drain_and_stop(Duration limit) = 0;
};

// An actor that ends with this, unless it was handed over: a system waits for its actors, so one that nobody ends keeps the
// process for ever.
class OwnedActor {
 public:
  OwnedActor(caf::actor actor) : actor_(std::move(actor)) {}
  OwnedActor(OwnedActor&& other) noexcept : actor_(other.hand_over()) {}
  OwnedActor& operator=(OwnedActor&& other) noexcept {
    std::swap(actor_, other.actor_);
    return *this;
  }
  ~OwnedActor() {
    if (actor_) caf::anon_send_exit(actor_, caf::exit_reason::user_shutdown);
  }
  const caf::actor& get() const { return actor_; }
  caf::actor hand_over() { return std::exchange(actor_, nullptr); }

 private:
  caf::actor actor_;
};

struct SpawnedActor {
  OwnedActor actor;
  Hello hello;                                   // of a node's role: what the node says of itself. Else unused
  std::shared_ptr<Front> front;                  // or nothing; ends before the actor
};

using ActorFactory = std::function<Result<SpawnedActor>(const SpawnContext&)>;

class ActorTypes {
 public:
  // Errors: invalid_argument, a name that is taken.
  Status add(const std::string& type, ActorFactory factory);
  Status add_role(Role role, ActorFactory factory);
  // Errors: not_found, naming the types there are; whatever the factory says.
  Result<SpawnedActor> spawn(const std::string& type, const SpawnContext& context) const;
  // The same for a child of a running node. Errors also: invalid_argument, a role.
  Result<SpawnedActor> spawn_child(const std::string& type, const SpawnContext& context) const;

 private:
  std::map<std::string, ActorFactory> factories_;
  std::set<std::string> roles_;                  // of factories_
};

}  // namespace baton
