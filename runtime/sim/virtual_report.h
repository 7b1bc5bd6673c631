// What a run of a simulated cluster says: a record of each request, and a summary as JSON or as text.
//
// TTFT is the first token's time at the gateway minus the arrival there, TPOT (last - first token) / (tokens - 1). A request that made
// no token has 0 for all of its times; one of a single token has a TPOT of 0, meets any TPOT, and is not in TPOT's quantiles. Quantiles are
// over completed requests. Attainment is the share of all requests that completed within both SLOs; goodput is how many of those there
// were a second, from the first arrival to the end.
// Thread: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/sim/request_csv.h"
#include "runtime/sim/virtual_cluster.h"

namespace baton::sim {

struct LatencySlo {
  std::optional<double> ttft_ms;           // nothing: no limit
  std::optional<double> tpot_ms;
};

struct Quantiles {                         // NaN of nothing
  double mean = 0, p50 = 0, p90 = 0, p99 = 0;
};

struct VirtualSummary {
  std::size_t requests = 0;
  std::size_t completed = 0;
  std::map<std::string, std::size_t> outcomes;
  Quantiles ttft_ms, tpot_ms, e2e_ms;
  LatencySlo slo;
  double attainment = 0;
  double goodput = 0;                      // requests a second
  double end_s = 0;
  double requests_per_s = 0;               // completed
  double kv_bytes_moved = 0;
  std::uint64_t transfers = 0;
  double transfer_share = 0;               // time of all transfers over E2E of all completed requests; a push's is hidden behind prefill
  struct Instance {
    std::string name;
    double utilisation = 0;                // share of the time that it ran a step
    std::uint64_t steps = 0;
    InstanceStats stats;
  };
  std::vector<Instance> instances;
};

std::vector<RequestRecord> to_records(const Trace& trace, const VirtualRun& run);
VirtualSummary summarise(const VirtualRun& run, const std::vector<RequestRecord>& records, const LatencySlo& slo);

// `described` says what was simulated, as (key, value) in order; the JSON begins with it.
std::string to_json(const VirtualSummary& summary, const std::vector<std::pair<std::string, std::string>>& described);
std::string to_text(const VirtualSummary& summary);

}  // namespace baton::sim
