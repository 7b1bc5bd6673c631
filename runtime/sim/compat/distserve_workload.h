// Requests for a search, which probes many rates with the same lengths and the same gaps between arrivals, scaled (common random
// numbers). A JSON list: [{"prompt_len": 353, "output_len": 236, "unit_interarrival_s": 0.0}, ...], where the gap is the one before the
// request at a rate of 1 a second. Without gaps they are drawn as DistServe's release does, Poisson arrivals with numpy's seed 0.
//
// Thread: none. Errors: io_error (the file), invalid_argument (file, line and what is wrong with it).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/sim/compat/distserve_simulator.h"

namespace baton::sim::distserve {

struct Workload {
  std::vector<Lengths> requests;
  std::vector<double> unit_gaps;           // seconds, one for each request; the first is 0
};

Result<Workload> load_workload(const std::string& path);
Result<Workload> parse_workload(std::string_view text, const std::string& name);     // `name` stands for the file in errors

// numpy.random.seed(0); numpy.random.gamma(1, 1, count - 1), after a 0.
std::vector<double> poisson_unit_gaps(std::size_t count);

// Milliseconds of each arrival at `rate` requests a second, added up as the release does.
void arrivals_at(double rate, const std::vector<double>& unit_gaps, std::vector<double>& arrivals);

}  // namespace baton::sim::distserve
