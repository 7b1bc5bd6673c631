// A whole cluster on virtual time: the cores that decide in production (RequestCore of every request, SchedulerCore, InstanceCore of
// every instance), driven by one queue of events instead of actors. What actors, devices and wires do takes modelled time:
//
//   a message        the control latency, whatever it says            a step    what the profile's StepModel says of its shape
//   a hand-off       its KV's bytes over the instances' links, shared by max-min fairness, and the link's latency
//
// There are no contents: every token that a step makes is the same one, requests ignore the end of sequence and run to the trace's
// length, and digests are off. Where a trace names the blocks of its prompts, the tokens follow from the names and the prefix cache is
// on. Instances neither die nor lose messages, so reports come when something changed and not by heartbeat.
//
// Time 0 is the first arrival. Thread: none. A run is a function of its options and its trace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/instance/instance_options.h"
#include "runtime/messages/request.h"
#include "runtime/sim/instance_profile.h"
#include "runtime/sim/trace.h"

namespace baton::sim {

struct VirtualGroup {                      // equal instances, named prefill_0, prefill_1, ... by role
  Role role = Role::mixed;
  std::uint32_t count = 1;
  InstanceProfile profile;
};

struct VirtualOptions {
  std::vector<VirtualGroup> groups;        // of one model
  std::string routing = "jsq";             // a name of runtime/cluster/routing_registry.h
  HandOffMode hand_off = HandOffMode::pull;
  std::uint64_t seed = 1;                  // of the scheduler's draws
  Duration control_latency{50'000};        // of every message
  Duration link_latency{10'000};           // of the last byte of a hand-off
  double link_bytes_per_s = 25e9;          // of an instance, each way (200 Gbit/s)
  std::uint32_t block_tokens = 16;
  std::uint32_t chunk_tokens = InstanceOptions{}.chunk_tokens;
  std::uint32_t prefill_token_budget = InstanceOptions{}.prefill_token_budget;
  bool check_invariants = false;           // of whoever an event happened to, after it; for tests
};

inline constexpr std::uint32_t kNoInstance = ~0u;

struct VirtualRequest {                    // in trace order
  Instant arrival;
  Instant first_token;                     // at the gateway, as the next; only if tokens > 0
  Instant last_token;
  std::uint32_t tokens = 0;                // delivered
  std::uint32_t prefill = kNoInstance;     // of the last attempt, index into VirtualRun::instances
  std::uint32_t decode = kNoInstance;
  std::optional<ErrorCode> error;          // nothing: it completed
};

struct VirtualInstanceUse {
  std::string name;
  Duration busy{};                         // in steps
  std::uint64_t steps = 0;
  InstanceStats stats;
  std::uint32_t blocks_used = 0;           // at the end: 0, or something leaked
};

struct VirtualRun {
  std::vector<VirtualRequest> requests;
  std::vector<VirtualInstanceUse> instances;
  Instant end;                             // when the last request ended
  double kv_bytes_moved = 0;
  std::uint64_t transfers = 0;
  Duration transferring{};                 // summed over transfers: from the first byte's leaving to the last one's arrival
  std::uint64_t events = 0;
};

// Errors: invalid_argument for a cluster that cannot serve, an unknown routing policy, a trace that is empty, not sorted by arrival or
// has a prompt too long to simulate. A request that the cluster refuses is no error of the run: see VirtualRequest::error.
Result<VirtualRun> simulate(const VirtualOptions& options, const Trace& trace);

}  // namespace baton::sim
