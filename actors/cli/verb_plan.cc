#include <memory>

#include "actors/cli/plan_flags.h"
#include "actors/cli/verbs.h"

namespace baton::cli {
namespace {

int plan(const PlanFlags& flags) {
  if (flags.compat.empty()) {
    return report({ErrorCode::invalid_argument, Scope::request,
                   "say whose search to follow: --compat distserve or --compat distserve-vllm"});
  }
  return plan_distserve(flags);
}

}  // namespace

void add_plan_verb(CLI::App& app, int& status) {
  const auto flags = std::make_shared<PlanFlags>();
  CLI::App* verb = app.add_subcommand("plan", "Search the placement with the highest goodput a GPU");
  add_option(*verb, "--compat", flags->compat, "Follow the authors' own search")->check(CLI::IsMember({"distserve", "distserve-vllm"}));
  add_option(*verb, "--model", flags->model, "Whose performance profile is used")->envname(kProfileModelVariable);
  add_option(*verb, "--nodes", flags->nodes, "Of the cluster");
  add_option(*verb, "--gpus-per-node", flags->gpus_per_node, "Of the cluster");
  add_option(*verb, "--affinity", flags->affinity, "high: an instance may span nodes; low: the same stages on each of its nodes")
      ->check(CLI::IsMember({"low", "high"}));
  add_option(*verb, "--ttft-ms", flags->ttft_ms, "SLO on the time to the first token");
  add_option(*verb, "--tpot-ms", flags->tpot_ms, "SLO on the mean time per further token");
  add_option(*verb, "--ttft-percentile", flags->ttft_percentile, "Of requests that must be below --ttft-ms");
  add_option(*verb, "--tpot-percentile", flags->tpot_percentile, "Of requests that must be below --tpot-ms");
  add_option(*verb, "--max-per-gpu-rate", flags->max_per_gpu_rate, "Upper end of the bisection, requests a second");
  add_option(*verb, "--esp", flags->esp, "Width at which the bisection ends");
  add_option(*verb, "--workload", flags->workload, "Requests: JSON list of prompt_len, output_len, unit_interarrival_s");
  add_option(*verb, "--json", flags->json, "Write the result as JSON here");
  verb->callback([flags, &status] { status = plan(*flags); });
}

}  // namespace baton::cli
