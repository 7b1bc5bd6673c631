#include <memory>

#include "actors/cli/simulate_flags.h"
#include "actors/cli/verbs.h"

namespace baton::cli {
namespace {

int simulate(const SimulateFlags& flags) {
  if (flags.trace.empty()) {
    return report({ErrorCode::invalid_argument, Scope::request, "nothing to simulate: name a trace with --trace FILE"});
  }
  if (flags.cache_only) return simulate_cache(flags);
  if (flags.compat == "splitwise") return simulate_splitwise(flags);
  return simulate_distserve(flags);
}

// A minus sign would be taken, and wrap to a huge number.
std::string not_negative(const std::string& word) { return word.starts_with('-') ? "must be a whole number from 0 up, not " + word : ""; }

}  // namespace

void add_simulate_verb(CLI::App& app, int& status) {
  const auto flags = std::make_shared<SimulateFlags>();
  CLI::App* verb = app.add_subcommand("simulate", "Run a workload on a cluster in virtual time");
  add_option(*verb, "--compat", flags->compat, "Follow the authors' own simulator")
      ->check(CLI::IsMember({"distserve", "distserve-vllm", "splitwise"}));
  add_option(*verb, "--trace", flags->trace, "Requests: Azure CSV, SplitwiseSim CSV, Mooncake JSONL or DistServe JSON");
  add_option(*verb, "--requests", flags->requests, "Write a CSV of every request here");
  add_option(*verb, "--json", flags->json, "Write a summary as JSON here");
  add_option(*verb, "--model", flags->model, "Whose performance profile is used");
  add_option(*verb, "--prefill", flags->prefill, "DistServe: parallelism of the prefill instance, tp=2,pp=1");
  add_option(*verb, "--decode", flags->decode, "DistServe: parallelism of the decode instance");
  add_option(*verb, "--mixed", flags->mixed, "DistServe's vLLM: parallelism of the one instance");
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
  verb->callback([flags, &status] { status = simulate(*flags); });
}

}  // namespace baton::cli
