#include "runtime/sim/quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/base/check.h"

namespace baton::sim {

double quantile(std::vector<double>& values, double q) {
  CHECK(q >= 0 && q <= 1, "quantile {}", q);
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double place = static_cast<double>(values.size() - 1) * q;
  const auto rank = static_cast<std::size_t>(place);
  const double share = place - static_cast<double>(rank);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(values.begin(), at, values.end());
  if (at + 1 == values.end()) return *at;
  const double below = *at, above = *std::min_element(at + 1, values.end());
  // Two forms, so that the result is exact at both ends.
  return share < 0.5 ? below + (above - below) * share : above - (above - below) * (1 - share);
}

}  // namespace baton::sim
