#include "runtime/sim/workload_parts.h"

#include <algorithm>

namespace baton::sim {
namespace {

double quantile_of(const std::vector<LengthDistribution::Quantile>& table, double u) {
  const auto above = std::ranges::find_if(table, [&](const auto& q) { return q.share > u; });
  if (above == table.end()) return table.back().tokens;
  if (above == table.begin()) return table.front().tokens;
  const auto below = above - 1;
  return below->tokens + (above->tokens - below->tokens) * (u - below->share) / (above->share - below->share);
}

}  // namespace

std::uint32_t tokens_at(const LengthDistribution& d, double u) {
  double tokens = 0;
  switch (d.kind) {
    case LengthDistribution::Kind::uniform:
      return d.least + static_cast<std::uint32_t>(u * (static_cast<double>(d.most - d.least) + 1));
    case LengthDistribution::Kind::lognormal:
      tokens = d.median * portable_exp(d.sigma * normal_quantile(u + 0x1.0p-54));
      break;
    case LengthDistribution::Kind::quantiles:
      tokens = quantile_of(d.table, u);
      break;
  }
  return static_cast<std::uint32_t>(std::clamp(tokens + 0.5, static_cast<double>(d.least), static_cast<double>(d.most)));
}

ArrivalTimes::ArrivalTimes(const Arrivals& arrivals, double rate, const Draws& draws) : arrivals_(arrivals), rate_(rate), draws_(draws) {
  if (arrivals.process == Arrivals::Process::on_off) rate_ = rate * (arrivals.on_s + arrivals.off_s) / arrivals.on_s;
}

double ArrivalTimes::gap() {
  switch (arrivals_.process) {
    case Arrivals::Process::closed_loop: return 0;
    case Arrivals::Process::fixed: return 1 / rate_;
    case Arrivals::Process::gamma: {
      const double variance = arrivals_.cv * arrivals_.cv;
      return draws_.gamma(Stream::arrival, index_, 1 / variance) * variance / rate_;
    }
    default: return draws_.exponential(Stream::arrival, index_) / rate_;
  }
}

double ArrivalTimes::on_until(double busy_s) {
  while (busy_s >= period_ends_) {
    if (period_ > 0) off_so_far_ += arrivals_.off_s * draws_.exponential(Stream::period, period_, 1);
    period_ends_ += arrivals_.on_s * draws_.exponential(Stream::period, period_, 0);
    ++period_;
  }
  return busy_s + off_so_far_;
}

double ArrivalTimes::next() {
  if (index_ > 0) now_ += gap();
  ++index_;
  return arrivals_.process == Arrivals::Process::on_off ? on_until(now_) : now_;
}

}  // namespace baton::sim
