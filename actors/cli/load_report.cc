#include "actors/cli/load_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

namespace baton::cli {

Percentiles percentiles_of(std::vector<double> values) {
  Percentiles result;
  result.count = values.size();
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  const auto rank = [&](double p) {
    const auto nearest = static_cast<std::size_t>(std::ceil(p * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(1, nearest) - 1];
  };
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  result.p50 = rank(0.50);
  result.p90 = rank(0.90);
  result.p95 = rank(0.95);
  result.p99 = rank(0.99);
  result.max = values.back();
  return result;
}

LoadSummary summarise(const std::vector<RequestRecord>& records, const Slo& slo) {
  LoadSummary summary;
  std::vector<double> ttft, tpot, itl, e2e;
  std::size_t attained = 0;
  for (const RequestRecord& record : records) {
    summary.duration_s = std::max(summary.duration_s, record.end_s);
    if (!record.ok || record.token_s.empty()) {
      ++summary.failed;
      if (std::find(summary.errors.begin(), summary.errors.end(), record.error) == summary.errors.end() &&
          summary.errors.size() < 5)
        summary.errors.push_back(record.error);
      continue;
    }
    ++summary.completed;
    summary.output_tokens += record.token_s.size();
    const double first = (record.token_s.front() - record.arrival_s) * 1e3;
    const double last = record.token_s.back() - record.token_s.front();
    const double per_token = record.token_s.size() > 1 ? last * 1e3 / static_cast<double>(record.token_s.size() - 1) : 0;
    ttft.push_back(first);
    e2e.push_back((record.end_s - record.arrival_s) * 1e3);
    if (record.token_s.size() > 1) tpot.push_back(per_token);
    for (std::size_t i = 1; i < record.token_s.size(); ++i) itl.push_back((record.token_s[i] - record.token_s[i - 1]) * 1e3);
    if ((slo.ttft_ms <= 0 || first <= slo.ttft_ms) && (slo.tpot_ms <= 0 || per_token <= slo.tpot_ms)) ++attained;
  }
  summary.ttft_ms = percentiles_of(std::move(ttft));
  summary.tpot_ms = percentiles_of(std::move(tpot));
  summary.itl_ms = percentiles_of(std::move(itl));
  summary.e2e_ms = percentiles_of(std::move(e2e));
  if (!records.empty()) summary.attainment = static_cast<double>(attained) / static_cast<double>(records.size());
  if (summary.duration_s > 0) summary.goodput_rps = static_cast<double>(attained) / summary.duration_s;
  return summary;
}

std::string to_json(const LoadSummary& summary) {
  using nlohmann::json;
  const auto of = [](const Percentiles& p) {
    return json{{"count", p.count}, {"mean", p.mean}, {"p50", p.p50}, {"p90", p.p90}, {"p95", p.p95}, {"p99", p.p99}, {"max", p.max}};
  };
  const double seconds = std::max(summary.duration_s, 1e-9);
  const json report = {{"completed", summary.completed},
                       {"failed", summary.failed},
                       {"duration_s", summary.duration_s},
                       {"output_tokens", summary.output_tokens},
                       {"output_tokens_per_s", static_cast<double>(summary.output_tokens) / seconds},
                       {"requests_per_s", static_cast<double>(summary.completed) / seconds},
                       {"ttft_ms", of(summary.ttft_ms)},
                       {"tpot_ms", of(summary.tpot_ms)},
                       {"itl_ms", of(summary.itl_ms)},
                       {"e2e_ms", of(summary.e2e_ms)},
                       {"attainment", summary.attainment},
                       {"goodput_rps", summary.goodput_rps},
                       {"errors", summary.errors}};
  return report.dump(2, ' ', false, json::error_handler_t::replace);
}

std::string to_text(const LoadSummary& summary, const Slo& slo) {
  const double seconds = std::max(summary.duration_s, 1e-9);
  std::string text = fmt::format(
      "{} requests completed, {} failed, in {:.2f} s: {:.2f} requests/s, {:.1f} output tokens/s\n", summary.completed,
      summary.failed, summary.duration_s, static_cast<double>(summary.completed) / seconds,
      static_cast<double>(summary.output_tokens) / seconds);
  text += fmt::format("{:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "ms", "mean", "p50", "p90", "p95", "p99", "max");
  const auto row = [&](const char* name, const Percentiles& p) {
    text += fmt::format("{:>10} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f}\n", name, p.mean, p.p50, p.p90, p.p95, p.p99, p.max);
  };
  row("TTFT", summary.ttft_ms);
  row("TPOT", summary.tpot_ms);
  row("ITL", summary.itl_ms);
  row("E2E", summary.e2e_ms);
  const auto limit = [](double ms) { return ms > 0 ? fmt::format("{} ms", ms) : std::string("not judged"); };
  text += fmt::format("SLO: TTFT {}, TPOT {}: attainment {:.1f} %, goodput {:.2f} requests/s\n", limit(slo.ttft_ms),
                      limit(slo.tpot_ms), 100 * summary.attainment, summary.goodput_rps);
  for (const std::string& error : summary.errors) text += "failed: " + error + "\n";
  return text;
}

}  // namespace baton::cli
