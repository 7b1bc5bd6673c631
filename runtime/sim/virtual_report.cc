#include "runtime/sim/virtual_report.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <spdlog/fmt/fmt.h>

#include "runtime/sim/quantile.h"

namespace baton::sim {
namespace {

constexpr char kCompleted[] = "completed";

double to_ms(Duration d) { return static_cast<double>(d.count()) / 1e6; }
double to_s(Duration d) { return static_cast<double>(d.count()) / 1e9; }

Quantiles quantiles(std::vector<double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return {values.empty() ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(values.size()), quantile(values, 0.5),
          quantile(values, 0.9), quantile(values, 0.99)};
}

nlohmann::ordered_json json_of(const Quantiles& q) {
  if (std::isnan(q.mean)) return nullptr;
  return {{"mean", q.mean}, {"p50", q.p50}, {"p90", q.p90}, {"p99", q.p99}};
}

std::string line_of(const char* name, const Quantiles& q) {
  return fmt::format("{:<10}{:>12.3f}{:>12.3f}{:>12.3f}{:>12.3f}\n", name, q.mean, q.p50, q.p90, q.p99);
}

bool within(const RequestRecord& record, const LatencySlo& slo) {
  const auto meets = [](double ms, const std::optional<double>& limit) { return !limit || ms <= *limit; };
  return record.outcome == kCompleted && meets(record.ttft_ms, slo.ttft_ms) && meets(record.tpot_ms, slo.tpot_ms);
}

}  // namespace

std::vector<RequestRecord> to_records(const Trace& trace, const VirtualRun& run) {
  CHECK(trace.size() == run.requests.size(), "a run of another trace");
  std::vector<RequestRecord> records;
  records.reserve(trace.size());
  const auto name = [&](std::uint32_t instance) { return instance == kNoInstance ? std::string{} : run.instances[instance].name; };
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const VirtualRequest& request = run.requests[i];
    RequestRecord& record = records.emplace_back();
    record.id = trace[i].id;
    record.arrival_s = trace[i].arrival_s;
    record.prompt_tokens = trace[i].prompt_tokens;
    record.output_tokens = trace[i].output_tokens;
    if (request.tokens > 0) {
      record.ttft_ms = to_ms(request.first_token - request.arrival);
      record.e2e_ms = to_ms(request.last_token - request.arrival);
    }
    if (request.tokens > 1) record.tpot_ms = to_ms(request.last_token - request.first_token) / (request.tokens - 1);
    record.prefill_instance = name(request.prefill);
    record.decode_instance = name(request.decode);
    record.outcome = request.error ? to_string(*request.error) : kCompleted;
  }
  return records;
}

VirtualSummary summarise(const VirtualRun& run, const std::vector<RequestRecord>& records, const LatencySlo& slo) {
  VirtualSummary summary;
  summary.requests = records.size();
  summary.slo = slo;
  std::vector<double> ttft, tpot, e2e;
  double e2e_sum_ms = 0;
  std::size_t good = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const RequestRecord& record = records[i];
    ++summary.outcomes[record.outcome];
    if (record.outcome != kCompleted) continue;
    ttft.push_back(record.ttft_ms);
    e2e.push_back(record.e2e_ms);
    if (run.requests[i].tokens > 1) tpot.push_back(record.tpot_ms);
    e2e_sum_ms += record.e2e_ms;
    good += within(record, slo) ? 1 : 0;
  }
  summary.completed = e2e.size();
  summary.ttft_ms = quantiles(std::move(ttft));
  summary.tpot_ms = quantiles(std::move(tpot));
  summary.e2e_ms = quantiles(std::move(e2e));
  summary.end_s = to_s(Duration{run.end.ns});
  const double duration = std::max(summary.end_s, 1e-9);
  summary.attainment = static_cast<double>(good) / static_cast<double>(records.size());
  summary.goodput = static_cast<double>(good) / duration;
  summary.requests_per_s = static_cast<double>(summary.completed) / duration;
  summary.kv_bytes_moved = run.kv_bytes_moved;
  summary.transfers = run.transfers;
  summary.transfer_share = e2e_sum_ms > 0 ? to_ms(run.transferring) / e2e_sum_ms : 0;
  for (const VirtualInstanceUse& use : run.instances) {
    summary.instances.push_back({use.name, std::min(to_s(use.busy) / duration, 1.0), use.steps, use.stats});
  }
  return summary;
}

std::string to_json(const VirtualSummary& summary, const std::vector<std::pair<std::string, std::string>>& described) {
  nlohmann::ordered_json json;
  for (const auto& [key, value] : described) json[key] = value;
  json["requests"] = summary.requests;
  json["completed"] = summary.completed;
  json["outcomes"] = summary.outcomes;
  json["end_s"] = summary.end_s;
  json["requests_per_s"] = summary.requests_per_s;
  json["ttft_ms"] = json_of(summary.ttft_ms);
  json["tpot_ms"] = json_of(summary.tpot_ms);
  json["e2e_ms"] = json_of(summary.e2e_ms);
  const auto limit = [](const std::optional<double>& ms) { return ms ? nlohmann::ordered_json(*ms) : nlohmann::ordered_json(nullptr); };
  json["slo"] = {{"ttft_ms", limit(summary.slo.ttft_ms)}, {"tpot_ms", limit(summary.slo.tpot_ms)}};
  json["attainment"] = summary.attainment;
  json["goodput"] = summary.goodput;
  json["kv_bytes_moved"] = static_cast<std::uint64_t>(std::llround(summary.kv_bytes_moved));
  json["transfers"] = summary.transfers;
  json["transfer_share"] = summary.transfer_share;
  json["instances"] = nlohmann::ordered_json::array();
  for (const VirtualSummary::Instance& instance : summary.instances) {
    json["instances"].push_back({{"name", instance.name},
                                 {"utilisation", instance.utilisation},
                                 {"steps", instance.steps},
                                 {"prompt_tokens_computed", instance.stats.prompt_tokens_computed},
                                 {"prompt_tokens_cached", instance.stats.prompt_tokens_cached},
                                 {"generated_tokens", instance.stats.generated_tokens},
                                 {"preemptions", instance.stats.preemptions}});
  }
  return json.dump(2) + "\n";
}

std::string to_text(const VirtualSummary& summary) {
  std::string text = fmt::format("{} of {} requests completed in {:.1f} s", summary.completed, summary.requests, summary.end_s);
  for (const auto& [outcome, count] : summary.outcomes) {
    if (outcome != kCompleted) text += fmt::format(", {} {}", count, outcome);
  }
  text += fmt::format("\n\n{:<10}{:>12}{:>12}{:>12}{:>12}\n", "ms", "mean", "P50", "P90", "P99");
  if (summary.completed > 0) text += line_of("TTFT", summary.ttft_ms) + line_of("E2E", summary.e2e_ms);
  if (!std::isnan(summary.tpot_ms.mean)) text += line_of("TPOT", summary.tpot_ms);
  if (summary.slo.ttft_ms || summary.slo.tpot_ms) {
    text += fmt::format("\n{:.2f} % of requests within the SLOs, goodput {:.3f} requests/s\n", summary.attainment * 100, summary.goodput);
  }
  text += fmt::format("\nKV moved {:.3f} GB in {} transfers, {:.2f} % of the requests' time\n", summary.kv_bytes_moved / 1e9,
                      summary.transfers, summary.transfer_share * 100);
  for (const VirtualSummary::Instance& instance : summary.instances) {
    text += fmt::format("{:<12} busy {:6.2f} %, {} steps\n", instance.name, instance.utilisation * 100, instance.steps);
  }
  return text;
}

}  // namespace baton::sim
