// The placement search of DistServe's released simulator: every split of the GPUs into one prefill and one decode instance (vllm: every
// single instance), each with the highest rate a GPU at which its simulation meets the SLOs, found by bisection. It is not the paper's
// Algorithm 1 or 2: both phases are always simulated together, and replicas are not counted.
//
// high affinity: an instance may span nodes. low: the same number of stages on every node (pp_cross nodes), and what a node holds of
// both instances must fit it. Candidates whose weights do not fit or whose speed is not known are enumerated but not run.
//
// Source: DistServe (OSDI'24) section 4; release at commit 82831f1: its modules search_configs, search_binary and simulate.
// Thread: none; call step() until it says that nothing is left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/sim/compat/distserve_workload.h"

namespace baton::sim::distserve {

enum class Affinity : std::uint8_t { low, high };

// Percentiles are judged one by one, TTFT and TPOT, and must be below their limits.
struct Slo {
  double ttft_ms = 200;
  double tpot_ms = 100;
  double ttft_percentile = 90;
  double tpot_percentile = 90;
};

struct SearchOptions {
  std::string model;
  Engine engine = Engine::distserve;
  std::uint32_t nodes = 1;
  std::uint32_t gpus_per_node = 4;
  Affinity affinity = Affinity::low;       // vllm: not looked at
  Slo slo;
  double max_per_gpu_rate = 5;             // requests a second; the bisection starts between 0 and this
  double esp = 0.25;                       // and ends when its interval is no wider than this
};

// Degrees inside a node; the pipelines simulated have pp_cross times as many stages.
struct Candidate {
  std::uint32_t pp_cross = 1;
  Parallelism prefill;
  Parallelism decode;                      // vllm: tp = pp = 0, the instance is `prefill`
  std::uint32_t gpus() const { return pp_cross * (prefill.gpus() + decode.gpus()); }
  bool operator==(const Candidate&) const = default;
};

// In the release's order.
std::vector<Candidate> enumerate(const Model& model, Engine engine, std::uint32_t nodes, std::uint32_t gpus_per_node, Affinity affinity);

struct Measured {
  Candidate candidate;
  double rate_per_gpu = 0;                 // requests a second; 0: no rate that was probed meets the SLOs
};

class Search {
 public:
  // Errors: invalid_argument (model, rates, SLOs, sizes).
  static Result<Search> make(const SearchOptions& options, Workload workload);

  // Measures the next candidate. False: all were measured before.
  bool step();
  std::size_t enumerated() const { return candidates_.size(); }
  std::size_t looked_at() const { return next_; }

  const std::vector<Measured>& measured() const { return measured_; }        // those that could be run, as enumerated
  // The highest rate a GPU; of equals the fewest GPUs, of these the first. Nothing when none could be run.
  std::optional<Measured> best() const;

 private:
  Search(SearchOptions options, Profile profile, const Model& model, Workload workload);
  double bisect(Simulator& simulator, std::uint32_t gpus);
  bool meets_slo(Simulator& simulator, double rate);

  SearchOptions options_;
  Profile profile_;
  Model model_;
  Workload workload_;
  std::vector<Candidate> candidates_;
  std::size_t next_ = 0;
  std::vector<Measured> measured_;
  std::vector<double> arrivals_, ttft_, tpot_;
};

}  // namespace baton::sim::distserve
