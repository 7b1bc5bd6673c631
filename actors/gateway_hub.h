// The gateway's side of the cluster: one hub actor that has the connections, one small actor per request that drives its RequestCore.
// Tokens of a step come in one message and are shared out; the HTTP side sees gateway::Backend. Private to actors/*.cc.
//
//   HTTP ──submit──► hub ──spawns──► request actor ──events──► sink (HTTP)
//                     ▲  ──tokens, losses──►  │
//   instances, scheduler ◄──routes──── hub ◄──┘
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <memory>
#include <vector>

#include "actors/gateway/backend.h"
#include "runtime/config/cluster_config.h"

namespace baton {

struct GatewayHub {
  caf::actor actor;
  std::shared_ptr<gateway::Backend> backend;     // usable until the actor ended; then submits are refused
};

// `hello`: the gateway's own, for ClusterView. `nodes`: of the cluster file.
GatewayHub spawn_gateway_hub(caf::actor_system& system, Hello hello, std::vector<NodeConfig> nodes,
                             std::shared_ptr<const Tokenizer> tokenizer);

}  // namespace baton
