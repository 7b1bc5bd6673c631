// One client request as an actor: RequestCore over messages, by way of the hub. Private to actors/*.cc.
#pragma once

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>

#include <memory>

#include "actors/gateway/backend.h"
#include "runtime/cluster/request_core.h"

namespace baton {

caf::actor spawn_request(caf::event_based_actor* hub, RequestSpec spec, std::shared_ptr<gateway::RequestSink> sink,
                         std::shared_ptr<const Tokenizer> tokenizer);

}  // namespace baton
