// baton plan --compat distserve | distserve-vllm: the placement search of DistServe's released simulator.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/cli/plan_flags.h"
#include "actors/cli/simulate_flags.h"
#include "actors/cli/verbs.h"
#include "runtime/sim/compat/distserve_search.h"

namespace baton::cli {
namespace {

using nlohmann::ordered_json;
using sim::distserve::Affinity;
using sim::distserve::Engine;
using sim::distserve::Measured;
using sim::distserve::Search;
using sim::distserve::SearchOptions;

SearchOptions options_of(const PlanFlags& flags) {
  return {.model = flags.model,
          .engine = flags.compat == "distserve-vllm" ? Engine::vllm : Engine::distserve,
          .nodes = flags.nodes,
          .gpus_per_node = flags.gpus_per_node,
          .affinity = flags.affinity == "high" ? Affinity::high : Affinity::low,
          .slo = {flags.ttft_ms, flags.tpot_ms, flags.ttft_percentile, flags.tpot_percentile},
          .max_per_gpu_rate = flags.max_per_gpu_rate,
          .esp = flags.esp};
}

ordered_json entry(const Measured& measured, Engine engine) {
  const auto& [pp_cross, prefill, decode] = measured.candidate;
  if (engine == Engine::vllm) return {{"tp", prefill.tp}, {"pp", prefill.pp}, {"rate_per_gpu", measured.rate_per_gpu}};
  return {{"pp_cross", pp_cross},   {"tp_prefill", prefill.tp}, {"pp_prefill", prefill.pp},
          {"tp_decode", decode.tp}, {"pp_decode", decode.pp},   {"rate_per_gpu", measured.rate_per_gpu}};
}

ordered_json to_json(const PlanFlags& flags, const SearchOptions& options, const Search& search) {
  ordered_json result = {{"compat", flags.compat},
                         {"model", flags.model},
                         {"nodes", flags.nodes},
                         {"gpus_per_node", flags.gpus_per_node},
                         {"affinity", flags.affinity},
                         {"ttft_ms", flags.ttft_ms},
                         {"tpot_ms", flags.tpot_ms},
                         {"candidates", search.enumerated()},
                         {"runnable", search.measured().size()}};
  result["configurations"] = ordered_json::array();
  for (const Measured& measured : search.measured()) result["configurations"].push_back(entry(measured, options.engine));
  const auto best = search.best();
  result["best"] = best ? entry(*best, options.engine) : ordered_json(nullptr);
  return result;
}

std::string line_of(const Measured& measured, Engine engine) {
  const auto& [pp_cross, prefill, decode] = measured.candidate;
  const std::string instances = engine == Engine::vllm
                                    ? fmt::format("mixed {}", to_string(prefill))
                                    : fmt::format("{} node(s), prefill {}, decode {}", pp_cross, to_string(prefill), to_string(decode));
  return fmt::format("{:>10.4f} {:>5}  {}\n", measured.rate_per_gpu, measured.candidate.gpus(), instances);
}

void print(const Search& search, Engine engine) {
  constexpr std::size_t kShown = 10;
  std::vector<Measured> ranked = search.measured();
  std::stable_sort(ranked.begin(), ranked.end(), [](const Measured& a, const Measured& b) {
    return a.rate_per_gpu > b.rate_per_gpu || (a.rate_per_gpu == b.rate_per_gpu && a.candidate.gpus() < b.candidate.gpus());
  });
  std::printf("%zu candidates, %zu runnable: their weights fit and their speed is known\n", search.enumerated(), ranked.size());
  if (ranked.empty()) return;
  std::printf("%10s %5s\n", "req/s/GPU", "GPUs");
  for (std::size_t i = 0; i < std::min(kShown, ranked.size()); ++i) std::fputs(line_of(ranked[i], engine).c_str(), stdout);
  if (ranked.size() > kShown) std::printf("and %zu more\n", ranked.size() - kShown);
}

}  // namespace

int plan_distserve(const PlanFlags& flags) {
  const SearchOptions options = options_of(flags);
  if (flags.workload.empty()) {
    return report({ErrorCode::invalid_argument, Scope::request, "name the requests to search with: --workload FILE.json"});
  }
  auto workload = sim::distserve::load_workload(flags.workload);
  if (!workload) return report(workload.error());
  auto search = Search::make(options, std::move(workload).value());
  if (!search) return report(search.error());
  const bool watched = ::isatty(STDERR_FILENO) && search->enumerated() > 1;
  while (search->step()) {
    const std::size_t done = search->looked_at(), all = search->enumerated();
    if (watched) std::fprintf(stderr, "\r%zu of %zu candidates%s", done, all, done == all ? "\n" : "");
  }
  print(*search, options.engine);
  if (!flags.json.empty()) {
    const Status written = write_text(flags.json, to_json(flags, options, *search).dump(2) + "\n");
    if (!written) return report(written.error());
  }
  return kDone;
}

}  // namespace baton::cli
