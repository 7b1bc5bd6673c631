// What came of a load: percentiles of TTFT, TPOT, ITL and E2E, SLO attainment and goodput, as text and JSON. Definitions are those
// of ARCHITECTURE.md: TPOT is (last - first token) / (tokens - 1), attainment counts requests that meet both SLOs.
#pragma once

#include <string>
#include <vector>

#include "actors/cli/load_generator.h"

namespace baton::cli {

struct Slo {
  double ttft_ms = 0;                    // 0: not judged
  double tpot_ms = 0;
};

struct Percentiles {
  std::size_t count = 0;
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};
// Nearest-rank percentiles; zeros for no values.
Percentiles percentiles_of(std::vector<double> values);

struct LoadSummary {
  std::size_t completed = 0;
  std::size_t failed = 0;
  double duration_s = 0;
  std::size_t output_tokens = 0;
  Percentiles ttft_ms, tpot_ms, itl_ms, e2e_ms;
  double attainment = 0;                 // share of all requests sent, failed ones included
  double goodput_rps = 0;                // requests that met the SLOs, a second
  std::vector<std::string> errors;       // distinct, at most five
};

LoadSummary summarise(const std::vector<RequestRecord>& records, const Slo& slo);
std::string to_json(const LoadSummary& report);
std::string to_text(const LoadSummary& report, const Slo& slo);

}  // namespace baton::cli
