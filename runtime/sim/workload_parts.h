// The parts of the workload generator: one length of a distribution, the times of arrival, and sessions. Private to it.
#pragma once

#include <cstdint>

#include "runtime/sim/draws.h"
#include "runtime/sim/workload.h"

namespace baton::sim {

// The u-quantile of the distribution, 0 <= u < 1.
std::uint32_t tokens_at(const LengthDistribution& distribution, double u);

// One time of arrival after the other, in order.
class ArrivalTimes {
 public:
  ArrivalTimes(const Arrivals& arrivals, double rate, const Draws& draws);
  double next();                           // seconds; the first is 0

 private:
  double gap();                            // before request index_, at `rate_` while on
  double on_until(double busy_s);          // on_off: the time at which `busy_s` seconds of being on are over

  Arrivals arrivals_;
  double rate_;
  Draws draws_;
  std::uint64_t index_ = 0;
  double now_ = 0;                         // on_off: seconds of being on
  std::uint64_t period_ = 0;               // on_off: of the on periods
  double period_ends_ = 0;                 //   in seconds of being on
  double off_so_far_ = 0;
};

Trace generate_sessions(const Workload& workload, double rate, std::size_t count, const Draws& draws);

}  // namespace baton::sim
