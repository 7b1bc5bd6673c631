// Every message that may cross the control plane, in one list: what is registered with CAF, what the start-up self-test
// serialises, and what to_peer() (caf_types.h) lets through. A type missing here does not compile as a message to a peer.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/cluster/membership.h"
#include "runtime/messages/hand_off.h"
#include "runtime/messages/membership.h"
#include "runtime/messages/node_stats.h"
#include "runtime/messages/request.h"

namespace baton {

// The dialled node's answer to a Hello that it accepts. Hello and HelloAnswer are followed by the handle of the sender's role.
struct HelloAnswer {
  Hello hello;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, HelloAnswer& x) {
  return f(x.hello);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Goodbye& x) {
  return f(x.from);
}

// To a node: spawn an actor of a registered type (actors/registry.h), supervised by the node.
struct SpawnActor {
  std::string type;
  std::vector<std::pair<std::string, std::string>> arguments;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SpawnActor& x) {
  return f(x.type, x.arguments);
}

// The answer when it did not work; else the answer is the actor's handle.
struct SpawnRefused {
  Error error;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SpawnRefused& x) {
  return f(x.error);
}

using WireMessages =
    std::tuple<Hello, HelloAnswer, HelloRefused, Goodbye, LoadReport, StatsRequest, NodeStats, AssignRequest, Assigned,
               AssignRefused, RequestEnded, PrefillRequest, DecodeRequest, StepTokens, PromptScores, AttemptFailed,
               CancelRequest, Reserve, Offer, Grant, RenewLease, Release, Withdraw, InstanceRef, SpawnActor, SpawnRefused>;

template <class T, class List>
struct IsListed;
template <class T, class... Ts>
struct IsListed<T, std::tuple<Ts...>> : std::bool_constant<(std::is_same_v<T, Ts> || ...)> {};
template <class T>
inline constexpr bool kIsWireMessage = IsListed<T, WireMessages>::value;

}  // namespace baton
