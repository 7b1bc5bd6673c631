#include "runtime/sim/compat/distserve_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/sim/quantile.h"

namespace baton::sim::distserve {
namespace {

constexpr std::uint32_t kMostGpus = 1u << 20;
constexpr double kLeastRate = 1e-6, kMostRate = 1e9;        // between these every arrival is a finite time
constexpr int kMostProbes = 48;            // of a bisection: a double could be halved little more often

std::vector<std::uint32_t> divisors(std::uint32_t number, std::uint32_t most) {
  std::vector<std::uint32_t> found;
  for (std::uint32_t d = 1; d <= std::min(number, most); ++d) {
    if (number % d == 0) found.push_back(d);
  }
  return found;
}

Error not_searched(std::string message) { return {ErrorCode::invalid_argument, Scope::request, std::move(message)}; }

Status check_options(const SearchOptions& options) {
  const std::uint32_t nodes = options.nodes, gpus = options.gpus_per_node;
  if (nodes == 0 || gpus == 0 || std::uint64_t{nodes} * gpus > kMostGpus) {
    return not_searched(fmt::format("{} nodes of {} GPUs are no cluster: --nodes and --gpus-per-node are at least 1, and {} GPUs at most",
                               nodes, gpus, kMostGpus));
  }
  const Slo& slo = options.slo;
  const double rate = options.max_per_gpu_rate, esp = options.esp;
  const std::pair<const char*, double> positive[] = {{"--ttft-ms", slo.ttft_ms}, {"--tpot-ms", slo.tpot_ms}, {"--max-per-gpu-rate", rate}};
  for (const auto& [flag, value] : positive) {
    if (!std::isfinite(value) || value <= 0) return not_searched(fmt::format("{} must be above 0, not {}", flag, value));
  }
  if (rate < kLeastRate || rate > kMostRate) {
    return not_searched(fmt::format("--max-per-gpu-rate must be from {} to {} requests a second, not {}", kLeastRate, kMostRate, rate));
  }
  const std::pair<const char*, double> percentiles[] = {{"--ttft-percentile", slo.ttft_percentile},
                                                         {"--tpot-percentile", slo.tpot_percentile}};
  for (const auto& [flag, value] : percentiles) {
    if (!(value > 0 && value <= 100)) return not_searched(fmt::format("{} must be above 0 and at most 100, not {}", flag, value));
  }
  if (!(esp > 0 && esp < rate)) {
    return not_searched(fmt::format("--esp must be above 0 and below --max-per-gpu-rate {}, not {}: no rate would be probed", rate, esp));
  }
  if (rate / esp > std::exp2(kMostProbes)) {
    return not_searched(fmt::format("--esp {} takes over {} probes: give a larger one", esp, kMostProbes));
  }
  return ok();
}

}  // namespace

std::vector<Candidate> enumerate(const Model& model, Engine engine, std::uint32_t nodes, std::uint32_t gpus_per_node, Affinity affinity) {
  const std::uint32_t all = nodes * gpus_per_node;
  std::vector<Candidate> found;
  if (engine == Engine::vllm) {
    for (const std::uint32_t tp : divisors(model.heads, all)) {
      for (const std::uint32_t pp : divisors(model.layers, all / tp)) found.push_back({.prefill = {tp, pp}, .decode = {0, 0}});
    }
    return found;
  }
  const bool low = affinity == Affinity::low;
  const std::uint32_t together = low ? gpus_per_node : all;        // GPUs that one segment of both instances may use
  const auto tps = divisors(model.heads, together), pps = divisors(model.layers, together);
  std::vector<Parallelism> instances;
  for (const std::uint32_t tp : tps) {
    for (const std::uint32_t pp : pps) instances.push_back({tp, pp});
  }
  for (const std::uint32_t pp_cross : divisors(model.layers, low ? nodes : 1)) {
    for (const Parallelism prefill : instances) {
      for (const Parallelism decode : instances) {
        const Candidate candidate{pp_cross, prefill, decode};
        if (prefill.gpus() + decode.gpus() > together || candidate.gpus() > all) continue;
        if (model.layers % (pp_cross * prefill.pp) != 0 || model.layers % (pp_cross * decode.pp) != 0) continue;
        found.push_back(candidate);
      }
    }
  }
  return found;
}

Result<Search> Search::make(const SearchOptions& options, Workload workload) {
  auto profile = load_profile();
  if (!profile) return profile.error();
  const auto model = profile->find(options.model);
  if (!model) return model.error();
  if (const Status checked = check_options(options); !checked) return checked.error();
  return Search(options, std::move(profile).value(), **model, std::move(workload));
}

Search::Search(SearchOptions options, Profile profile, const Model& model, Workload workload)
    : options_(std::move(options)), profile_(std::move(profile)), model_(model), workload_(std::move(workload)),
      candidates_(enumerate(model_, options_.engine, options_.nodes, options_.gpus_per_node, options_.affinity)) {}

bool Search::step() {
  if (next_ == candidates_.size()) return false;
  const Candidate& candidate = candidates_[next_++];
  Parallelism prefill = candidate.prefill, decode = options_.engine == Engine::vllm ? candidate.prefill : candidate.decode;
  prefill.pp *= candidate.pp_cross;
  decode.pp *= candidate.pp_cross;
  const auto deployment = deploy(profile_, model_, options_.engine, prefill, decode);
  if (!deployment || !check_fits(*deployment, workload_.requests)) return true;
  Simulator simulator(*deployment);
  measured_.push_back({candidate, bisect(simulator, candidate.gpus())});
  return true;
}

double Search::bisect(Simulator& simulator, std::uint32_t gpus) {
  double low = 0, high = options_.max_per_gpu_rate;
  while (high - low > options_.esp) {
    const double middle = (low + high) / 2;
    (meets_slo(simulator, middle * gpus) ? low : high) = middle;
  }
  return low;
}

bool Search::meets_slo(Simulator& simulator, double rate) {
  arrivals_at(rate, workload_.unit_gaps, arrivals_);
  const std::vector<Latency>& latencies = simulator.run(workload_.requests, arrivals_);
  ttft_.clear();
  tpot_.clear();
  for (std::size_t i = 0; i < latencies.size(); ++i) {
    const std::uint32_t output = workload_.requests[i].output;
    ttft_.push_back(latencies[i].ttft);
    if (output > 0) tpot_.push_back(latencies[i].tpot(output));          // pandas leaves 0/0 out of a quantile
  }
  return quantile(ttft_, options_.slo.ttft_percentile / 100) < options_.slo.ttft_ms &&
         quantile(tpot_, options_.slo.tpot_percentile / 100) < options_.slo.tpot_ms;
}

std::optional<Measured> Search::best() const {
  const auto worse = [](const Measured& a, const Measured& b) {
    return a.rate_per_gpu < b.rate_per_gpu || (a.rate_per_gpu == b.rate_per_gpu && a.candidate.gpus() > b.candidate.gpus());
  };
  const auto best = std::max_element(measured_.begin(), measured_.end(), worse);
  return best == measured_.end() ? std::nullopt : std::optional{*best};
}

}  // namespace baton::sim::distserve
