#include "runtime/sim/compat/distserve_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/sim/compat/quantile.h"

namespace baton::sim::distserve {
namespace {

constexpr std::uint32_t kMostGpus = 1u << 20;
constexpr double kMostProbes = 48;         // of a bisection: a double could be halved little more often

std::vector<std::uint32_t> divisors(std::uint32_t number, std::uint32_t most) {
  std::vector<std::uint32_t> found;
  for (std::uint32_t d = 1; d <= std::min(number, most); ++d) {
    if (number % d == 0) found.push_back(d);
  }
  return found;
}

Status check_options(const SearchOptions& options) {
  const auto refuse = [](std::string message) { return Error{ErrorCode::invalid_argument, Scope::request, std::move(message)}; };
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  const auto percentile = [](double value) { return value > 0 && value <= 100; };
  const Slo& slo = options.slo;
  if (options.nodes == 0 || options.gpus_per_node == 0 || std::uint64_t{options.nodes} * options.gpus_per_node > kMostGpus) {
    return refuse(fmt::format("{} nodes of {} GPUs are no cluster: give --nodes and --gpus-per-node, each at least 1, at most {} GPUs in all",
                              options.nodes, options.gpus_per_node, kMostGpus));
  }
  if (!positive(slo.ttft_ms)) return refuse(fmt::format("--ttft-ms must be above 0, not {}", slo.ttft_ms));
  if (!positive(slo.tpot_ms)) return refuse(fmt::format("--tpot-ms must be above 0, not {}", slo.tpot_ms));
  if (!percentile(slo.ttft_percentile)) return refuse(fmt::format("--ttft-percentile must be above 0 and at most 100, not {}", slo.ttft_percentile));
  if (!percentile(slo.tpot_percentile)) return refuse(fmt::format("--tpot-percentile must be above 0 and at most 100, not {}", slo.tpot_percentile));
  if (!positive(options.max_per_gpu_rate)) return refuse(fmt::format("--max-per-gpu-rate must be above 0, not {}", options.max_per_gpu_rate));
  if (!positive(options.esp) || options.esp >= options.max_per_gpu_rate || options.max_per_gpu_rate / options.esp > std::exp2(kMostProbes)) {
    return refuse(fmt::format("--esp must be above 0 and below --max-per-gpu-rate {}, not {}: no rate would be probed", options.max_per_gpu_rate, options.esp));
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
