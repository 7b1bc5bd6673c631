// The one published actor of a node: hellos with the other nodes, by the rules of Membership; remote spawn and supervision of
// children by type name. Its role's actor and children are told who is there. Private to actors/*.cc.
//
//   other node ──Hello──► node actor ──PeerJoined / PeerLeft──► role's actor ◄──messages of the role, directly──► other role
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/io/middleman_actor.hpp>

#include <functional>
#include <memory>
#include <string>

#include "actors/network/connect_probe.h"
#include "actors/registry.h"
#include "runtime/cluster/membership.h"

namespace baton {

struct NodeActorParts {
  Membership membership;
  caf::io::middleman_actor dialler;
  std::shared_ptr<ConnectProbe> probe;
  caf::actor role;
  std::shared_ptr<const ActorTypes> types;
  SpawnContext context;                          // for children
  std::function<void(std::string)> on_role_down; // the process is the unit of a role's restart
};

caf::actor spawn_node_actor(caf::actor_system& system, NodeActorParts parts);

}  // namespace baton
