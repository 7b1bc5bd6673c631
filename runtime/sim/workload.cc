#include "runtime/sim/workload.h"

#include <algorithm>

#include "runtime/sim/workload_parts.h"

namespace baton::sim {
namespace {

constexpr std::uint64_t kMostAttempts = 1000;              // to draw a pair within most_total; then it is cut
constexpr std::size_t kMostRequests = 1'000'000'000;
constexpr double kLeastRate = 1e-6, kMostRate = 1e9;
constexpr double kMostPeriods = 1e4;                       // of on and off between two requests: each is drawn

std::pair<std::uint32_t, std::uint32_t> cut(std::uint32_t prompt, std::uint32_t output, std::uint32_t most_total) {
  output = std::min(output, most_total - 1);
  return {std::min(prompt, most_total - output), output};
}

std::pair<std::uint32_t, std::uint32_t> draw_lengths(const Lengths& lengths, const Draws& draws, std::uint64_t index) {
  if (!lengths.observed.empty()) {
    const double place = draws.unit(Stream::row, index) * static_cast<double>(lengths.observed.size());
    return lengths.observed[std::min(static_cast<std::size_t>(place), lengths.observed.size() - 1)];
  }
  for (std::uint64_t attempt = 0;; ++attempt) {
    const std::uint32_t prompt = tokens_at(lengths.prompt, draws.unit(Stream::prompt, index, attempt));
    const std::uint32_t output = tokens_at(lengths.output, draws.unit(Stream::output, index, attempt));
    if (lengths.most_total == 0 || prompt + output <= lengths.most_total) return {prompt, output};
    const bool once = lengths.over_total == Lengths::OverTotal::shorten_prompt;
    if (once || attempt == kMostAttempts) return cut(prompt, output, lengths.most_total);
  }
}

}  // namespace

Result<Trace> generate(const Workload& workload, double rate, std::size_t count, std::uint64_t seed) {
  if (!(rate >= kLeastRate && rate <= kMostRate)) {
    return Error{ErrorCode::invalid_argument, Scope::request,
                 fmt::format("{} requests a second: the rate must be from {} to {}", rate, kLeastRate, kMostRate), "rate"};
  }
  if (count == 0 || count > kMostRequests) {
    return Error{ErrorCode::invalid_argument, Scope::request, fmt::format("{} requests: ask for 1 to {}", count, kMostRequests), "count"};
  }
  const Arrivals& arrivals = workload.arrivals;
  const double cycle_s = arrivals.on_s + arrivals.off_s;
  if (arrivals.process == Arrivals::Process::on_off && rate * cycle_s * kMostPeriods < 1) {
    return Error{ErrorCode::invalid_argument, Scope::request,
                 fmt::format("{} requests a second and bursts every {} s: most bursts would be empty; make them longer", rate, cycle_s),
                 "rate"};
  }
  const Draws draws(seed);
  if (!workload.sessions.empty()) return generate_sessions(workload, rate, count, draws);
  ArrivalTimes times(arrivals, rate, draws);
  Trace trace;
  trace.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto [prompt, output] = draw_lengths(workload.lengths, draws, i);
    trace.push_back({std::to_string(i), times.next(), prompt, output, {}});
  }
  return trace;
}

}  // namespace baton::sim
