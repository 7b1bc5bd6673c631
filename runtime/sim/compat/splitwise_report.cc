#include "runtime/sim/compat/splitwise_report.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

namespace baton::sim::splitwise {
namespace {

double quantile(const std::vector<double>& sorted, double share) {
  const double place = static_cast<double>(sorted.size() - 1) * share;
  const auto low = static_cast<std::size_t>(place);
  const double a = sorted[low];
  const double b = sorted[std::min(low + 1, sorted.size() - 1)];
  const double part = place - static_cast<double>(low);
  return part < 0.5 ? a + (b - a) * part : b - (b - a) * (1 - part);
}

bool under(const Quantiles& slowdown, const SlowdownLimits& limits) {
  return slowdown.p50 < limits.p50 && slowdown.p90 < limits.p90 && slowdown.p99 < limits.p99;
}

Slowdowns slowdowns_of(const Cluster& cluster, const Trace& trace, const Outcome& run) {
  const StepTimes& idle = cluster.model.times.at(cluster.hardware.slo_reference);
  std::vector<double> ttft;
  std::vector<double> tbt;
  std::vector<double> e2e;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const Served& served = run.requests[i];
    if (!served.completed) continue;
    const double base_ttft = idle.prompt.at(trace[i].prompt_tokens);
    const double base_tbt = idle.token.at(trace[i].prompt_tokens);
    ttft.push_back(served.ttft_s / base_ttft);
    tbt.push_back((served.e2e_s - served.ttft_s) / trace[i].output_tokens / base_tbt);
    e2e.push_back(served.e2e_s / (base_ttft + base_tbt * (trace[i].output_tokens - 1.0)));
  }
  const bool all = !trace.empty() && ttft.size() == trace.size();
  Slowdowns slowdowns{quantiles_of(std::move(ttft)), quantiles_of(std::move(tbt)), quantiles_of(std::move(e2e))};
  const Hardware& limits = cluster.hardware;
  slowdowns.all_nine = all && under(slowdowns.ttft, limits.ttft) && under(slowdowns.tbt, limits.tbt) && under(slowdowns.e2e, limits.e2e);
  return slowdowns;
}

nlohmann::ordered_json json_of(const Quantiles& q, double unit = 1) {
  return {{"mean", q.mean * unit}, {"p50", q.p50 * unit}, {"p90", q.p90 * unit}, {"p99", q.p99 * unit}};
}

std::string row(const char* name, const Quantiles& q, double unit = 1) {
  return fmt::format("{:<16}{:>10.3f}{:>12.3f}{:>12.3f}{:>12.3f}\n", name, q.mean * unit, q.p50 * unit, q.p90 * unit, q.p99 * unit);
}

}  // namespace

Quantiles quantiles_of(std::vector<double> values) {
  if (values.empty()) return {};
  double sum = 0;
  for (const double value : values) sum += value;
  std::sort(values.begin(), values.end());
  return {sum / static_cast<double>(values.size()), quantile(values, 0.5), quantile(values, 0.9), quantile(values, 0.99)};
}

Summary summarise(const Cluster& cluster, const Trace& trace, const Outcome& run, bool with_slowdowns) {
  std::vector<double> ttft;
  std::vector<double> tbt;
  std::vector<double> e2e;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const Served& served = run.requests[i];
    if (!served.completed) continue;
    ttft.push_back(served.ttft_s);
    tbt.push_back((served.e2e_s - served.ttft_s) / trace[i].output_tokens);
    e2e.push_back(served.e2e_s);
  }
  Summary summary{.requests = trace.size(), .completed = ttft.size(), .transfers = run.transfers, .end_s = run.end_s};
  summary.ttft_s = quantiles_of(std::move(ttft));
  summary.tbt_s = quantiles_of(std::move(tbt));
  summary.e2e_s = quantiles_of(std::move(e2e));
  if (with_slowdowns) summary.slowdowns = slowdowns_of(cluster, trace, run);
  return summary;
}

std::string to_json(const Summary& summary, const ClusterWords& words) {
  nlohmann::ordered_json json = {{"compat", "splitwise"}, {"model", words.model}, {"start_state", words.start_state}};
  json["scheduler"] = words.scheduler;
  if (!words.machines.empty()) json["machines"] = words.machines;
  if (!words.prompt.empty()) json["prompt"] = words.prompt;
  if (!words.token.empty()) json["token"] = words.token;
  json["requests"] = summary.requests;
  json["completed"] = summary.completed;
  json["transfers"] = summary.transfers;
  json["end_s"] = summary.end_s;
  json["ttft_ms"] = json_of(summary.ttft_s, 1000);
  json["tpot_ms"] = json_of(summary.tbt_s, 1000);
  json["e2e_ms"] = json_of(summary.e2e_s, 1000);
  if (summary.slowdowns) {
    const Slowdowns& slowdowns = *summary.slowdowns;
    json["slowdowns"] = {{"ttft", json_of(slowdowns.ttft)}, {"tbt", json_of(slowdowns.tbt)}, {"e2e", json_of(slowdowns.e2e)}};
    json["all_nine"] = slowdowns.all_nine;
  }
  return json.dump(2) + "\n";
}

std::string to_text(const Summary& summary) {
  std::string text = fmt::format("{} of {} requests completed, {} KV transfers, {:.1f} s simulated\n\n", summary.completed,
                                 summary.requests, summary.transfers, summary.end_s);
  text += fmt::format("{:<16}{:>10}{:>12}{:>12}{:>12}\n", "", "mean", "P50", "P90", "P99");
  text += row("TTFT ms", summary.ttft_s, 1000) + row("TBT ms", summary.tbt_s, 1000) + row("E2E ms", summary.e2e_s, 1000);
  if (const auto& slowdowns = summary.slowdowns) {
    text += row("TTFT slowdown", slowdowns->ttft) + row("TBT slowdown", slowdowns->tbt) + row("E2E slowdown", slowdowns->e2e);
    text += fmt::format("all nine SLOs hold: {}\n", slowdowns->all_nine ? "yes" : "no");
  }
  return text;
}

}  // namespace baton::sim::splitwise
