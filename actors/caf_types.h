// CAF as the actors of this folder see it: narrow includes, the messages that stay inside a process, and the ways to send.
// Private to actors/*.cc; every file that includes it costs seconds to compile, so few do.
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "actors/instance/instance_event.h"
#include "actors/lazy_timer.h"
#include "actors/messages.h"
#include "actors/steady_time.h"
#include "runtime/cluster/request_core.h"

namespace baton {

// ---- messages inside a process ----------------------------------------------------------------------------------------

// Node actor -> its role's actor and children.
struct PeerJoined {
  std::shared_ptr<const Hello> hello;
  caf::actor role;                       // the peer's: messages go to it directly
};
struct PeerLeft {
  std::shared_ptr<const Hello> hello;
};
struct PeerRefused {                     // by us or by it
  std::string name;
  std::string reason;
};

struct AlarmRang {};                     // see LazyTimer
struct DrainNow {};                      // refuse what is new, finish the rest; then say Drained
struct Drained {};

// The device worker and the fabric -> instance actor.
struct EventBox {
  std::shared_ptr<InstanceEvent> event;
};

// Hub -> request actor. One step's message is shared by all the requests that have a token in it.
struct TokenArrived {
  std::shared_ptr<const StepTokens> step;
  std::uint32_t index = 0;
};
// Request actor -> hub: to whom only the hub has a connection.
struct RouteToInstance {
  InstanceRef to;
  caf::message message;
};
struct RouteToScheduler {
  caf::message message;
};
struct RequestGone {
  RequestId request;
};

// ---- sending ----------------------------------------------------------------------------------------------------------

// To an actor of another process. A type that is not registered would arrive as an empty message; here it does not compile.
template <class Self, class... Ts>
void to_peer(Self* self, const caf::actor& to, Ts&&... parts) {
  static_assert(((kIsWireMessage<std::decay_t<Ts>> || std::is_same_v<std::decay_t<Ts>, caf::actor>)&&...),
                "list the type in WireMessages (actors/messages.h)");
  self->send(to, std::forward<Ts>(parts)...);
}

// Asks for AlarmRang no earlier than at `at`.
template <class Self>
void send_alarm(Self* self, Instant at) {
  const Duration wait = std::max(at - steady_now(), Duration{0});
  self->delayed_send(self, wait, AlarmRang{});
}

// An actor of a node outlives any message: what it does not understand is dropped, not answered and not printed.
template <class Self>
void drop_unexpected(Self* self) {
  self->set_default_handler([](caf::scheduled_actor*, caf::message_view&) -> caf::result<caf::message> {
    return caf::make_error(caf::sec::unexpected_message);
  });
}

}  // namespace baton

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::PeerJoined)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::PeerLeft)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::PeerRefused)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::AlarmRang)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::DrainNow)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::Drained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::EventBox)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::TokenArrived)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::RouteToInstance)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::RouteToScheduler)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::RequestGone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::InstanceLost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::CancelByClient)
