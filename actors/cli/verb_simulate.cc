#include <memory>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "actors/cli/simulate_flags.h"
#include "actors/cli/verbs.h"

namespace baton::cli {
namespace {

Error misused(std::string message) { return {ErrorCode::invalid_argument, Scope::request, std::move(message)}; }

int simulate(const SimulateFlags& flags) {
  const bool cluster = flags.compat.empty() && !flags.cache_only;
  if (flags.trace.empty() && (!cluster || flags.workload.empty())) {
    return report(misused(cluster ? "nothing to simulate: name a trace with --trace FILE, or a workload with --workload NAME"
                                  : "nothing to simulate: name a trace with --trace FILE"));
  }
  if (cluster) return simulate_cluster(flags);
  if (!flags.profile.empty() || !flags.workload.empty()) {
    return report(misused(fmt::format("--{} is for production's cores: leave out --{}", flags.profile.empty() ? "workload" : "profile",
                                      flags.cache_only ? "cache-only" : "compat")));
  }
  if (flags.cache_only) return simulate_cache(flags);
  if (flags.compat == "splitwise") return simulate_splitwise(flags);
  return simulate_distserve(flags);
}

// A minus sign would be taken, and wrap to a huge number.
std::string not_negative(const std::string& word) { return word.starts_with('-') ? "must be a whole number from 0 up, not " + word : ""; }

// Of production's cores.
void add_cluster_flags(CLI::App& verb, SimulateFlags& flags) {
  add_option(verb, "--profile", flags.profile, "Performance of an instance: distserve/opt-13b, splitwise/bloom-176b@h100-80gb, ...");
  add_option(verb, "--routing", flags.routing, "Which instance gets a request: jsq, round_robin, least_memory, power_of_two, prefix_aware");
  add_option(verb, "--hand-off", flags.hand_off, "How KV moves: pull or push_by_layer");
  add_option(verb, "--chunk-tokens", flags.chunk_tokens, "Of one prompt in one step; 0: whole prompts")->check(not_negative);
  add_option(verb, "--link-gbit-per-s", flags.link_gbit_per_s, "Of each instance's link, each way");
  add_option(verb, "--link-latency-us", flags.link_latency_us, "Of a hand-off's last byte");
  add_option(verb, "--control-latency-us", flags.control_latency_us, "Of every message");
  add_option(verb, "--workload", flags.workload, "Generate the requests: a name of configs/workloads, or a file");
  add_option(verb, "--rate", flags.rate, "Of the workload, requests a second; its own unless given");
  add_option(verb, "--count", flags.count, "Of the workload's requests")->check(not_negative);
  add_option(verb, "--seed", flags.seed, "Of the workload and of routing's draws")->check(not_negative);
  add_option(verb, "--ttft-ms", flags.ttft_ms, "SLO: the first token within so many ms");
  add_option(verb, "--tpot-ms", flags.tpot_ms, "SLO: so many ms a token after it, on average");
}

}  // namespace

void add_simulate_verb(CLI::App& app, int& status) {
  const auto flags = std::make_shared<SimulateFlags>();
  CLI::App* verb = app.add_subcommand("simulate", "Run a workload on a cluster in virtual time");
  add_option(*verb, "--compat", flags->compat, "Follow the authors' own simulator; else production's cores run")
      ->check(CLI::IsMember({"distserve", "distserve-vllm", "splitwise"}));
  add_option(*verb, "--trace", flags->trace, "Requests: Azure CSV, SplitwiseSim CSV, Mooncake JSONL or DistServe JSON");
  add_option(*verb, "--requests", flags->requests, "Write a CSV of every request here");
  add_option(*verb, "--json", flags->json, "Write a summary as JSON here");
  add_option(*verb, "--model", flags->model, "Whose performance profile is used")->envname(kProfileModelVariable);
  add_option(*verb, "--prefill", flags->prefill,
             "Prefill instances, N[,tp=2,pp=1]; with --compat distserve the parallelism of the one, tp=2,pp=1");
  add_option(*verb, "--decode", flags->decode, "Decode instances, likewise");
  add_option(*verb, "--mixed", flags->mixed, "Mixed instances, which do both, likewise; with --compat distserve-vllm");
  add_option(*verb, "--start-state", flags->start_state, "Splitwise: baseline, orca, splitwise or splitwise_hhcap");
  add_option(*verb, "--prompt", flags->prompt, "Splitwise: prompt machines, GPU:COUNT");
  add_option(*verb, "--token", flags->token, "Splitwise: token machines, GPU:COUNT");
  add_option(*verb, "--machines", flags->machines, "Splitwise: machines of a baseline, GPU:COUNT");
  add_option(*verb, "--scheduler", flags->scheduler, "Splitwise: the cluster-level scheduler");
  add_option(*verb, "--slo", flags->slo, "Judge the run: splitwise adds its nine slowdowns")->check(CLI::IsMember({"splitwise"}));
  add_flag(*verb, "--cache-only", flags->cache_only, "Only replay the trace's blocks through one cache");
  add_option(*verb, "--policy", flags->policy, "Of eviction, with --cache-only: lru, lfu, length_aware");
  add_option(*verb, "--capacity-blocks", flags->capacity_blocks, "Of the cache, with --cache-only; 0: no bound")
      ->check(not_negative);
  add_cluster_flags(*verb, *flags);
  verb->callback([flags, &status] { status = simulate(*flags); });
}

}  // namespace baton::cli
