#include "runtime/sim/compat/splitwise_cluster.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string_view>

#include <spdlog/fmt/fmt.h>

#include "runtime/base/nearest.h"

namespace baton::sim::splitwise {
namespace {

enum class Link : std::uint8_t { none, infiniband, ethernet, overlapped };

struct KnownScheduler {
  const char* name;
  Policy policy;
  Link link;                               // none: a request stays on one machine
};
constexpr KnownScheduler kSchedulers[] = {
    {"round_robin", Policy::round_robin, Link::none},
    {"jsq", Policy::jsq, Link::none},
    {"token_jsq", Policy::token_jsq, Link::none},
    {"kv_round_robin", Policy::kv_round_robin, Link::infiniband},
    {"kv_round_robin_ethernet", Policy::kv_round_robin, Link::ethernet},
    {"kv_jsq", Policy::kv_jsq, Link::infiniband},
    {"overlap_kv_jsq", Policy::kv_jsq, Link::overlapped},
    {"mixed_pool", Policy::mixed_pool, Link::infiniband},
};
constexpr const char* kHerding =
    "the authors' code never raises the counter that it compares, so every request goes to one prompt and one token machine; use kv_jsq or "
    "mixed_pool";
constexpr struct {
  const char* name;
  const char* reason;
} kNoReference[] = {
    {"random", "the authors draw it from an unseeded generator, so no run can be compared with another; use round_robin or jsq"},
    {"kv_token_jsq", kHerding},
    {"overlap_kv_token_jsq", kHerding},
};

const std::vector<std::string> kStartStates = {"baseline", "orca", "splitwise", "splitwise_hhcap"};
constexpr std::uint64_t kMostMachines = 10'000;

Error refused(const char* flag, const std::string& message) {
  return {ErrorCode::invalid_argument, Scope::request, fmt::format("--{} {}", flag, message), flag};
}

Result<KnownScheduler> find_scheduler(const std::string& name) {
  std::vector<std::string> known;
  for (const KnownScheduler& scheduler : kSchedulers) {
    if (scheduler.name == name) return scheduler;
    known.push_back(scheduler.name);
  }
  for (const auto& [refused_name, reason] : kNoReference) {
    if (refused_name != name) continue;
    return Error{ErrorCode::unsupported, Scope::request, fmt::format("--scheduler {}: {}", name, reason), "scheduler"};
  }
  if (name.empty()) return refused("scheduler", fmt::format("is missing; one of {}", fmt::join(known, ", ")));
  return refused("scheduler", fmt::format("{} is none of the authors'{}", name, suggestion(name, known)));
}

Status check_start_state(const std::string& name) {
  if (std::find(kStartStates.begin(), kStartStates.end(), name) != kStartStates.end()) return ok();
  if (name.empty()) return refused("start-state", fmt::format("is missing; one of {}", fmt::join(kStartStates, ", ")));
  return refused("start-state", fmt::format("{} is not known{}", name, suggestion(name, kStartStates)));
}

using Group = std::pair<Gpu, std::uint64_t>;

Result<Group> parse_group(const char* flag, const std::string& word, const Model& model, const Hardware& hardware) {
  const auto colon = word.rfind(':');
  std::uint64_t count = 0;
  const char* const end = word.data() + word.size();
  if (colon == std::string::npos) return refused(flag, fmt::format("{}: how many? write GPU:COUNT, such as h100-80gb:2", word));
  const auto [rest, error] = std::from_chars(word.data() + colon + 1, end, count);
  if (error != std::errc{} || rest != end || count == 0 || count > kMostMachines) {
    return refused(flag, fmt::format("{}: a count is a whole number from 1 to {}, as in h100-80gb:2", word, kMostMachines));
  }
  const std::string name = word.substr(0, colon);
  std::vector<std::string> known;
  for (const Gpu& gpu : hardware.gpus) {
    if (gpu.name == name && model.times.contains(name)) return Group{gpu, count};
    known.push_back(gpu.name);
  }
  return refused(flag, fmt::format("{}: no GPU {} was measured{}", word, name, suggestion(name, known)));
}

// "h100-80gb:2,a100-80gb:1", in the order of the hardware's GPUs; within one GPU as written.
Result<std::vector<Gpu>> parse_machines(const char* flag, const std::string& words, const Model& model, const Hardware& hardware) {
  std::vector<Group> groups;
  for (std::size_t start = 0; start <= words.size();) {
    const std::size_t comma = std::min(words.find(',', start), words.size());
    const auto group = parse_group(flag, words.substr(start, comma - start), model, hardware);
    if (!group) return group.error();
    groups.push_back(*group);
    start = comma + 1;
  }
  std::vector<Gpu> machines;
  for (const Gpu& gpu : hardware.gpus) {
    for (const auto& [its, count] : groups) {
      if (its.name == gpu.name) machines.insert(machines.end(), count, gpu);
    }
  }
  return machines;
}

void add_machines(Cluster& cluster, const std::vector<Gpu>& gpus, Tag tag) {
  for (const Gpu& gpu : gpus) cluster.machines.push_back({fmt::format("{}_{}", gpu.name, cluster.machines.size()), gpu, tag});
}

Status add_uniform(Cluster& cluster, const ClusterWords& words) {
  if (!words.prompt.empty() || !words.token.empty()) {
    return refused("start-state", fmt::format("{} has machines of one role: give them with --machines, not --prompt and --token; or "
                                              "use --start-state splitwise", words.start_state));
  }
  if (words.machines.empty()) return refused("machines", "is missing: GPU:COUNT, such as h100-80gb:2");
  const auto gpus = parse_machines("machines", words.machines, cluster.model, cluster.hardware);
  if (!gpus) return gpus.error();
  add_machines(cluster, *gpus, Tag::none);
  return ok();
}

bool all_are(const std::vector<Gpu>& gpus, const std::string& name) {
  return std::all_of(gpus.begin(), gpus.end(), [&](const Gpu& gpu) { return gpu.name == name; });
}

Status add_split(Cluster& cluster, const ClusterWords& words) {
  if (!words.machines.empty()) {
    return refused("start-state", fmt::format("{} has prompt and token machines: give them with --prompt and --token, not "
                                              "--machines; or use --start-state baseline", words.start_state));
  }
  if (words.prompt.empty()) return refused("prompt", "is missing: GPU:COUNT, such as h100-80gb:2");
  if (words.token.empty()) return refused("token", "is missing: GPU:COUNT, such as h100-80gb:1");
  const auto prompts = parse_machines("prompt", words.prompt, cluster.model, cluster.hardware);
  if (!prompts) return prompts.error();
  const auto tokens = parse_machines("token", words.token, cluster.model, cluster.hardware);
  if (!tokens) return tokens.error();
  if (words.start_state == "splitwise_hhcap") {
    const auto only = [](const std::string& given, const char* role, const char* gpu) {
      return refused(role, fmt::format("{}: {} machines of splitwise_hhcap are {}", given, role, gpu));
    };
    if (!all_are(*prompts, "h100-80gb")) return only(words.prompt, "prompt", "h100-80gb");
    if (!all_are(*tokens, "h100-80gb-pcap")) return only(words.token, "token", "h100-80gb-pcap");
  }
  if (all_are(*prompts, tokens->front().name) && all_are(*tokens, tokens->front().name)) {
    add_machines(cluster, *prompts, Tag::prompt);
    add_machines(cluster, *tokens, Tag::token);
  } else {
    add_machines(cluster, *tokens, Tag::token);
    add_machines(cluster, *prompts, Tag::prompt);
  }
  return ok();
}

double speed_of(Link link, const Hardware& hardware) {
  switch (link) {
    case Link::none: return 0;
    case Link::infiniband: return hardware.infiniband_bytes_per_s;
    case Link::ethernet: return hardware.ethernet_bytes_per_s;
    case Link::overlapped: return hardware.infiniband_bytes_per_s * hardware.overlap_factor;
  }
  return 0;
}

}  // namespace

Result<Cluster> make_cluster(const ClusterWords& words) {
  auto model = load_model(words.model);
  if (!model) return model.error();
  auto hardware = load_hardware();
  if (!hardware) return hardware.error();
  Cluster cluster{std::move(model).value(), std::move(hardware).value()};
  if (const Status known = check_start_state(words.start_state); !known) return known.error();
  const auto scheduler = find_scheduler(words.scheduler);
  if (!scheduler) return scheduler.error();
  const bool split = words.start_state.starts_with("splitwise");
  if (scheduler->link != Link::none && !split) {
    return refused("scheduler", words.scheduler + " needs prompt and token machines: use --start-state splitwise, or token_jsq");
  }
  const Status added = split ? add_split(cluster, words) : add_uniform(cluster, words);
  if (!added) return added.error();
  cluster.batching = words.start_state == "orca" ? Batching::orca : Batching::splitwise;
  cluster.policy = scheduler->policy;
  cluster.transfer_bytes_per_s = speed_of(scheduler->link, cluster.hardware);
  return cluster;
}

}  // namespace baton::sim::splitwise
