// baton simulate, without --compat: production's cores as a cluster on virtual time.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "actors/cli/simulate_flags.h"
#include "actors/cli/verbs.h"
#include "runtime/base/nearest.h"
#include "runtime/sim/virtual_report.h"
#include "runtime/sim/workload.h"

namespace baton::cli {
namespace {

constexpr std::uint32_t kMostOfARole = 100'000;
constexpr std::uint64_t kMostRequests = 10'000'000;        // a few hundred bytes each

Error misuse(std::string message) { return {ErrorCode::invalid_argument, Scope::request, std::move(message)}; }

// "2" or "2,tp=2,pp=1".
Result<sim::VirtualGroup> group_of(const std::string& text, Role role, const std::string& profile) {
  const std::string flag = fmt::format("--{}", to_string(role));
  const std::size_t comma = text.find(',');
  const std::string_view number = std::string_view(text).substr(0, comma);
  std::uint32_t count = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), count);
  if (read.ec != std::errc{} || read.ptr != number.data() + number.size() || count > kMostOfARole) {
    return misuse(fmt::format("{} \"{}\" is no number of instances: write {} 2, or {} 2,tp=2,pp=1", flag, text, flag, flag));
  }
  std::optional<sim::distserve::Parallelism> parallelism;
  if (comma != std::string::npos) {
    const auto given = sim::distserve::parse_parallelism(std::string_view(text).substr(comma + 1), flag);
    if (!given) return given.error();
    parallelism = *given;
  }
  auto loaded = sim::load_instance_profile(profile, parallelism);
  if (!loaded) return loaded.error();
  return sim::VirtualGroup{role, count, std::move(*loaded)};
}

Result<HandOffMode> hand_off_of(const std::string& name) {
  std::vector<std::string> known;
  for (const HandOffMode mode : {HandOffMode::pull, HandOffMode::push_by_layer}) {
    if (name == to_string(mode)) return mode;
    known.emplace_back(to_string(mode));
  }
  return misuse(fmt::format("there is no hand-off \"{}\"{}", name, suggestion(name, known)));
}

Result<sim::VirtualOptions> options_of(const SimulateFlags& flags) {
  for (const auto& [word, flag] : {std::pair{&flags.start_state, "--start-state"}, {&flags.prompt, "--prompt"}, {&flags.token, "--token"},
                                   {&flags.machines, "--machines"}, {&flags.scheduler, "--scheduler"}, {&flags.slo, "--slo"},
                                   {&flags.model, "--model"}}) {
    if (word->empty()) continue;
    return misuse(fmt::format("{} is for --compat distserve, distserve-vllm or splitwise; without --compat give --profile, --routing and "
                              "--prefill N, --decode N or --mixed N",
                              flag));
  }
  sim::VirtualOptions options;
  for (const auto& [text, role] : {std::pair{&flags.prefill, Role::prefill}, {&flags.decode, Role::decode}, {&flags.mixed, Role::mixed}}) {
    if (text->empty()) continue;
    auto group = group_of(*text, role, flags.profile);
    if (!group) return group.error();
    options.groups.push_back(std::move(*group));
  }
  const auto hand_off = hand_off_of(flags.hand_off);
  if (!hand_off) return hand_off.error();
  for (const auto& [value, flag] :
       {std::pair{flags.control_latency_us, "--control-latency-us"}, {flags.link_latency_us, "--link-latency-us"}}) {
    if (!(value >= 0 && value <= 1e9)) return misuse(fmt::format("{} must be from 0 to 1e9, not {}", flag, value));
  }
  if (!(flags.link_gbit_per_s >= 1e-3 && flags.link_gbit_per_s <= 1e6)) {
    return misuse(fmt::format("--link-gbit-per-s must be from 0.001 to 1000000, not {}", flags.link_gbit_per_s));
  }
  options.routing = flags.routing;
  options.hand_off = *hand_off;
  options.seed = flags.seed;
  options.control_latency = Duration{std::llround(flags.control_latency_us * 1e3)};
  options.link_latency = Duration{std::llround(flags.link_latency_us * 1e3)};
  options.link_bytes_per_s = flags.link_gbit_per_s * 1e9 / 8;
  options.chunk_tokens = flags.chunk_tokens;
  return options;
}

Result<sim::Trace> trace_of(const SimulateFlags& flags) {
  if (!flags.trace.empty() && !flags.workload.empty()) return misuse("give --trace or --workload, not both");
  if (!flags.trace.empty()) return sim::load_trace(flags.trace);
  if (flags.count > kMostRequests) return misuse(fmt::format("--count {}: at most {} requests are simulated", flags.count, kMostRequests));
  const auto workload = sim::load_workload(flags.workload);
  if (!workload) return workload.error();
  if (workload->arrivals.process == sim::Arrivals::Process::closed_loop) {
    return misuse(fmt::format("the workload {} is a closed loop, whose arrivals depend on the answers: simulate an open one",
                              flags.workload));
  }
  return sim::generate(*workload, flags.rate.value_or(workload->rate), flags.count, flags.seed);
}

std::vector<std::pair<std::string, std::string>> description_of(const SimulateFlags& flags) {
  std::vector<std::pair<std::string, std::string>> words = {{"profile", flags.profile}};
  for (const auto& [key, value] : {std::pair{"prefill", &flags.prefill}, {"decode", &flags.decode}, {"mixed", &flags.mixed},
                                   {"workload", &flags.workload}}) {
    if (!value->empty()) words.emplace_back(key, *value);
  }
  words.emplace_back("routing", flags.routing);
  words.emplace_back("hand_off", flags.hand_off);
  return words;
}

}  // namespace

int simulate_cluster(const SimulateFlags& flags) {
  const auto options = options_of(flags);
  if (!options) return report(options.error());
  const auto trace = trace_of(flags);
  if (!trace) return report(trace.error());
  const auto run = sim::simulate(*options, *trace);
  if (!run) return report(run.error());
  const auto records = to_records(*trace, *run);
  if (!flags.requests.empty()) {
    if (const Status written = write_text(flags.requests, sim::to_csv(records)); !written) return report(written.error());
  }
  const auto summary = summarise(*run, records, {flags.ttft_ms, flags.tpot_ms});
  if (flags.json.empty()) {
    std::fputs(to_text(summary).c_str(), stdout);
    return kDone;
  }
  const Status written = write_text(flags.json, to_json(summary, description_of(flags)));
  return written ? kDone : report(written.error());
}

}  // namespace baton::cli
