// What a run of SplitwiseSim came to, over its completed requests; and Splitwise's verdict on it, the nine SLOs: P50, P90 and P99 of
// the slowdown in TTFT, TBT and E2E, each under its limit. A slowdown is against the request alone on an idle machine of A100s
// serving the same model: TTFT prompt_time(P), TBT token_time(P), E2E both with T - 1 of the latter.
// Source: the paper's Table VI; SplitwiseSim's notebooks, modules perf_model and utils (strictly under).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "runtime/sim/compat/splitwise_simulation.h"

namespace baton::sim::splitwise {

struct Quantiles {
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
};

// Between neighbours by linear interpolation, as numpy does it; zeros of no values.
Quantiles quantiles_of(std::vector<double> values);

struct Slowdowns {
  Quantiles ttft;
  Quantiles tbt;
  Quantiles e2e;
  bool all_nine = false;                   // false when a request was not completed in time, or there was none
};

struct Summary {
  std::size_t requests = 0;
  std::size_t completed = 0;
  std::uint64_t transfers = 0;
  double end_s = 0;
  Quantiles ttft_s;
  Quantiles tbt_s;                         // as the authors define it
  Quantiles e2e_s;
  std::optional<Slowdowns> slowdowns;      // when they were asked for
};

Summary summarise(const Cluster& cluster, const Trace& trace, const Outcome& run, bool with_slowdowns);

std::string to_json(const Summary& summary, const ClusterWords& words);
std::string to_text(const Summary& summary);

}  // namespace baton::sim::splitwise
