// Names of things, as types that do not convert into each other. All are plain values, ordered and hashable, and travel in
// messages (see inspect). Counts are plain integers with the unit in their name (prompt_tokens, free_blocks).
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace baton {

template <class Tag, class Value>
struct Id {
  Value value{};
  auto operator<=>(const Id&) const = default;
};

template <class Inspector, class Tag, class Value>
typename Inspector::result_type inspect(Inspector& f, Id<Tag, Value>& id) {
  return f(id.value);
}

using RequestId = Id<struct RequestTag, std::uint64_t>;          // unique in the cluster; the gateway's request actor draws it
using Epoch = Id<struct EpochTag, std::uint32_t>;                // raised by each re-dispatch of a request, from 1
using InstanceId = Id<struct InstanceTag, std::uint64_t>;        // hash of the node's name: the same after a restart
using Incarnation = Id<struct IncarnationTag, std::uint64_t>;    // of a process; a later start has a greater one
using TransferId = Id<struct TransferTag, std::uint64_t>;        // drawn by the receiver, never reused
using StepId = Id<struct StepTag, std::uint64_t>;                // a batch run by an instance's device
using BlockId = Id<struct BlockTag, std::uint32_t>;              // index into an instance's KV arena
using TokenId = std::int32_t;                                    // index into the vocabulary

// One life of one participant. A message for or from an older life of the same instance is ignored.
struct InstanceRef {
  InstanceId id;
  Incarnation incarnation;
  auto operator<=>(const InstanceRef&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, InstanceRef& x) {
  return f(x.id, x.incarnation);
}

// One attempt at one request: what every message about a request names. Anything of an older epoch is ignored and freed.
struct RequestKey {
  RequestId request;
  Epoch epoch;
  auto operator<=>(const RequestKey&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RequestKey& x) {
  return f(x.request, x.epoch);
}

}  // namespace baton

template <class Tag, class Value>
struct std::hash<baton::Id<Tag, Value>> {
  std::size_t operator()(const baton::Id<Tag, Value>& id) const noexcept { return std::hash<Value>{}(id.value); }
};
template <>
struct std::hash<baton::RequestKey> {
  std::size_t operator()(const baton::RequestKey& key) const noexcept {
    return std::hash<std::uint64_t>{}(key.request.value * 0x9e3779b97f4a7c15u + key.epoch.value);
  }
};
template <>
struct std::hash<baton::InstanceRef> {
  std::size_t operator()(const baton::InstanceRef& ref) const noexcept {
    return std::hash<std::uint64_t>{}(ref.id.value ^ (ref.incarnation.value * 0x9e3779b97f4a7c15u));
  }
};
