// Quantiles as numpy and pandas interpolate them, which the authors' simulators judge by.
#pragma once

#include <vector>

namespace baton::sim {

// Linear between the two nearest ranks; `values` are reordered. 0 <= q <= 1. NaN when there are none.
double quantile(std::vector<double>& values, double q);

}  // namespace baton::sim
