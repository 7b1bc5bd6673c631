// baton simulate --compat distserve | distserve-vllm: one deployment on one trace, as DistServe's released simulator has it.
#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/cli/simulate_flags.h"
#include "actors/cli/verbs.h"
#include "runtime/sim/compat/distserve_simulator.h"
#include "runtime/sim/quantile.h"
#include "runtime/sim/request_csv.h"
#include "runtime/sim/trace.h"

namespace baton::cli {
namespace {

using sim::distserve::Deployment;
using sim::distserve::Engine;
using sim::distserve::Latency;
using sim::distserve::Lengths;
using sim::distserve::parse_parallelism;

Error refusal(std::string message) { return {ErrorCode::invalid_argument, Scope::request, std::move(message)}; }

Result<Deployment> deployment_of(const SimulateFlags& flags) {
  const Engine engine = flags.compat == "distserve-vllm" ? Engine::vllm : Engine::distserve;
  const bool one = engine == Engine::vllm;
  for (const std::string* word : {&flags.start_state, &flags.prompt, &flags.token, &flags.machines, &flags.scheduler, &flags.slo}) {
    if (word->empty()) continue;
    return refusal(fmt::format("\"{}\" is for --compat splitwise; --compat {} takes {}", *word, flags.compat,
                               one ? "--mixed tp=4,pp=1" : "--prefill tp=2,pp=1 --decode tp=1,pp=1"));
  }
  if (one && (flags.mixed.empty() || !flags.prefill.empty() || !flags.decode.empty())) {
    return refusal("--compat distserve-vllm simulates one instance: give --mixed tp=4,pp=1 and neither --prefill nor --decode");
  }
  if (!one && (!flags.mixed.empty() || flags.prefill.empty() || flags.decode.empty())) {
    return refusal("--compat distserve simulates a prefill and a decode instance: give --prefill tp=2,pp=1 and --decode tp=1,pp=1, "
                   "not --mixed");
  }
  const auto prefill = one ? parse_parallelism(flags.mixed, "--mixed") : parse_parallelism(flags.prefill, "--prefill");
  if (!prefill) return prefill.error();
  const auto decode = one ? prefill : parse_parallelism(flags.decode, "--decode");
  if (!decode) return decode.error();
  const auto profile = sim::distserve::load_profile();
  if (!profile) return profile.error();
  const auto model = profile->find(flags.model);
  if (!model) return model.error();
  return deploy(*profile, **model, engine, *prefill, *decode);
}

struct Timeline {
  std::vector<Lengths> requests;
  std::vector<double> arrivals;            // milliseconds after the first
};

// Gaps are added up, as the release does, so that the last bits are the same.
Result<Timeline> timeline_of(const sim::Trace& trace, const std::string& name) {
  Timeline timeline;
  double at = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (i > 0) at += (trace[i].arrival_s - trace[i - 1].arrival_s) * 1000;
    if (i > 0 && trace[i].arrival_s < trace[i - 1].arrival_s) {
      return refusal(fmt::format("{}: request {} arrives before the one above it: sort the trace by arrival", name, i));
    }
    timeline.requests.push_back({trace[i].prompt_tokens, trace[i].output_tokens});
    timeline.arrivals.push_back(at);
  }
  if (trace.empty()) return refusal(fmt::format("{} holds no request", name));
  return timeline;
}

std::vector<sim::RequestRecord> records_of(const sim::Trace& trace, const std::vector<Latency>& latencies, Engine engine) {
  const bool one = engine == Engine::vllm;
  std::vector<sim::RequestRecord> records;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    records.push_back({.id = trace[i].id,
                       .arrival_s = trace[i].arrival_s,
                       .prompt_tokens = trace[i].prompt_tokens,
                       .output_tokens = trace[i].output_tokens,
                       .ttft_ms = latencies[i].ttft,
                       .tpot_ms = latencies[i].tpot(trace[i].output_tokens),
                       .e2e_ms = latencies[i].e2e,
                       .prefill_instance = one ? "mixed_0" : "prefill_0",
                       .decode_instance = one ? "mixed_0" : "decode_0",
                       .outcome = "completed"});
  }
  return records;
}

nlohmann::ordered_json distribution(const std::vector<sim::RequestRecord>& records, double sim::RequestRecord::*column) {
  std::vector<double> values;
  double sum = 0;
  for (const sim::RequestRecord& record : records) sum += values.emplace_back(record.*column);
  return {{"mean", sum / static_cast<double>(values.size())}, {"p50", sim::quantile(values, 0.5)}, {"p90", sim::quantile(values, 0.9)},
          {"p99", sim::quantile(values, 0.99)}, {"max", sim::quantile(values, 1)}};
}

Status write_summary(const SimulateFlags& flags, const Deployment& deployment, const std::vector<sim::RequestRecord>& records) {
  nlohmann::ordered_json summary = {{"compat", flags.compat}, {"model", flags.model}};
  if (deployment.engine == Engine::vllm) {
    summary["mixed"] = to_string(deployment.prefill);
  } else {
    summary["prefill"] = to_string(deployment.prefill);
    summary["decode"] = to_string(deployment.decode);
  }
  summary["requests"] = records.size();
  summary["ttft_ms"] = distribution(records, &sim::RequestRecord::ttft_ms);
  summary["tpot_ms"] = distribution(records, &sim::RequestRecord::tpot_ms);
  summary["e2e_ms"] = distribution(records, &sim::RequestRecord::e2e_ms);
  if (!flags.json.empty()) return write_text(flags.json, summary.dump(2) + "\n");
  std::printf("%zu requests completed\n%8s %10s %10s %10s %10s %10s\n", records.size(), "ms", "mean", "p50", "p90", "p99", "max");
  for (const auto& [name, key] : {std::pair{"TTFT", "ttft_ms"}, std::pair{"TPOT", "tpot_ms"}, std::pair{"E2E", "e2e_ms"}}) {
    std::printf("%8s", name);
    for (const auto& value : summary[key]) std::printf(" %10.3f", value.get<double>());
    std::printf("\n");
  }
  return ok();
}

}  // namespace

int simulate_distserve(const SimulateFlags& flags) {
  const auto deployment = deployment_of(flags);
  if (!deployment) return report(deployment.error());
  const auto trace = sim::load_trace(flags.trace);
  if (!trace) return report(trace.error());
  const auto timeline = timeline_of(*trace, flags.trace);
  if (!timeline) return report(timeline.error());
  if (const Status fits = check_fits(*deployment, timeline->requests); !fits) return report(fits.error());
  sim::distserve::Simulator simulator(*deployment);
  const auto records = records_of(*trace, simulator.run(timeline->requests, timeline->arrivals), deployment->engine);
  if (!flags.requests.empty()) {
    if (const Status written = write_text(flags.requests, to_csv(records)); !written) return report(written.error());
  }
  if (const Status written = write_summary(flags, *deployment, records); !written) return report(written.error());
  return kDone;
}

}  // namespace baton::cli
