#include "runtime/sim/virtual_cluster.h"

#include <algorithm>
#include <utility>

#include "runtime/cluster/routing_registry.h"
#include "runtime/cluster/scheduler_core.h"
#include "runtime/sim/virtual_fabric.h"
#include "runtime/sim/virtual_instances.h"
#include "runtime/sim/virtual_requests.h"

namespace baton::sim {
namespace {

constexpr std::uint32_t kMostPromptTokens = 10'000'000;        // each is a token id in memory
constexpr std::uint32_t kMostInstances = 100'000;
constexpr double kLongestTrace = 1e9;       // seconds, of the 2^63 ns that an Instant has
constexpr Duration kNeverSilent = std::chrono::hours{1'000'000};

Error impossible(std::string message) { return {ErrorCode::invalid_argument, Scope::request, std::move(message)}; }

Status check_cluster(const VirtualOptions& options) {
  std::uint64_t instances = 0;
  bool prefills = false, decodes = false;
  for (const VirtualGroup& group : options.groups) {
    instances += group.count;
    prefills = prefills || (group.count > 0 && can_prefill(group.role));
    decodes = decodes || (group.count > 0 && can_decode(group.role));
    if (group.count > 0 && group.profile.kv_tokens < options.block_tokens) {
      return impossible(fmt::format("a {} instance has no room for KV beside the weights: give it more GPUs", to_string(group.role)));
    }
  }
  if (!prefills) return impossible("nobody runs prompts: give --prefill N beside --decode, or --mixed N");
  if (!decodes) return impossible("nobody generates tokens: give --decode N beside --prefill, or --mixed N");
  if (instances > kMostInstances) return impossible(fmt::format("{} instances: at most {} are simulated", instances, kMostInstances));
  if (!(options.link_bytes_per_s > 0)) return impossible("a link without bandwidth: hand-offs would never end");
  if (options.control_latency < Duration{0}) return impossible("a message cannot arrive before it is sent: the latency is negative");
  const auto routing = make_routing(options.routing);
  return routing ? ok() : Status{routing.error()};
}

Status check_trace(const Trace& trace) {
  if (trace.empty()) return impossible("the trace holds no request");
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (i > 0 && trace[i].arrival_s < trace[i - 1].arrival_s) {
      return impossible(fmt::format("request {} arrives before the one above it: sort the trace by arrival", i));
    }
    if (trace[i].prompt_tokens > kMostPromptTokens) {
      return impossible(fmt::format("request {} has a prompt of {} tokens, more than the {} that are simulated: leave it out", i,
                                    trace[i].prompt_tokens, kMostPromptTokens));
    }
  }
  if (trace.back().arrival_s - trace.front().arrival_s > kLongestTrace) {
    return impossible(fmt::format("the trace goes on for more than {} s: cut it", kLongestTrace));
  }
  return ok();
}

std::uint32_t instances_of(const VirtualOptions& options) {
  std::uint32_t count = 0;
  for (const VirtualGroup& group : options.groups) count += group.count;
  return count;
}

VirtualKv kv_of(const VirtualOptions& options) {
  const InstanceProfile& profile = options.groups.front().profile;
  return {profile.kv_bytes_per_token, profile.layers, options.block_tokens};
}

std::vector<Network::Link> links_of(const VirtualOptions& options) {
  return std::vector<Network::Link>(instances_of(options), {options.link_bytes_per_s, options.link_bytes_per_s});
}

bool names_blocks(const Trace& trace) {
  return std::ranges::any_of(trace, [](const TraceRequest& request) { return !request.blocks.empty(); });
}

class VirtualCluster {
 public:
  VirtualCluster(const VirtualOptions& options, const Trace& trace)
      : world_(instances_of(options), options.control_latency),
        fabric_(world_, kv_of(options), links_of(options), options.link_latency),
        instances_(world_, fabric_, options, names_blocks(trace)),
        requests_(world_, options, trace),
        scheduler_({.routing = options.routing, .hand_off = options.hand_off, .seed = options.seed, .report_timeout = kNeverSilent}),
        check_(options.check_invariants) {}

  // Until every request has ended and nothing is on its way any more.
  VirtualRun run() {
    for (std::uint32_t i = 0; i < world_.instances(); ++i) scheduler_.on(InstanceJoined{instances_.hello_of(i)}, world_.now());
    instances_.start();
    requests_.start();
    while (requests_.left() > 0 || world_.pending() > 0) happen(world_.next());
    VirtualRun run;
    run.requests = requests_.take_records();
    run.instances = instances_.use();
    run.end = requests_.last_end();
    run.kv_bytes_moved = fabric_.bytes_moved();
    run.transfers = fabric_.transfers();
    run.transferring = fabric_.transferring();
    run.events = world_.happened();
    return run;
  }

 private:
  void happen(const VirtualEvent& event) {
    switch (event.kind) {
      case VirtualEvent::Kind::arrival: return requests_.arrival(event.party);
      case VirtualEvent::Kind::message: return deliver(event.party, world_.take(event.slot));
      case VirtualEvent::Kind::step_end: return instances_.step_ended(event.party);
      case VirtualEvent::Kind::network: return fabric_.network_event();
      case VirtualEvent::Kind::instance_timer: return instances_.timer_event(event);
      case VirtualEvent::Kind::request_timer: return requests_.timer_event(event);
    }
  }

  void deliver(std::uint32_t party, const VirtualMessage& message) {
    if (party < world_.instances()) return instances_.deliver(party, message);
    if (party == world_.gateway()) return requests_.deliver(message);
    std::visit([&](const auto& m) { tell_scheduler(m); }, message);
    if (check_) scheduler_.check_invariants();
  }

  template <class Message>
  void tell_scheduler(const Message& message) {
    const InstanceRef gateway = VirtualWorld::ref_of(world_.gateway());
    if constexpr (requires { scheduler_.on(gateway, message, world_.now()); }) {
      for (SchedulerCommand& command : scheduler_.on(gateway, message, world_.now())) {
        std::visit([&](auto& c) { world_.post(world_.gateway(), std::move(c.message)); }, command);
      }
    } else if constexpr (requires { scheduler_.on(message, world_.now()); }) {
      scheduler_.on(message, world_.now());
    }
  }

  VirtualWorld world_;
  VirtualFabric fabric_;
  VirtualInstances instances_;
  VirtualRequests requests_;
  SchedulerCore scheduler_;
  bool check_;
};

}  // namespace

Result<VirtualRun> simulate(const VirtualOptions& options, const Trace& trace) {
  if (const Status possible = check_cluster(options); !possible) return possible.error();
  if (const Status possible = check_trace(trace); !possible) return possible.error();
  return VirtualCluster(options, trace).run();
}

}  // namespace baton::sim
