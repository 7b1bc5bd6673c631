#include "runtime/sampling/portable_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "runtime/base/random.h"

namespace baton {
namespace {

double ulps(double got, long double exact) {
  const double near = std::fabs(static_cast<double>(exact));
  const double unit = std::nextafter(near, std::numeric_limits<double>::max()) - near;
  return static_cast<double>(std::fabs(static_cast<long double>(got) - exact)) / unit;
}

TEST(PortableMath, exp_is_within_three_units_in_the_last_place) {
  Random random{1};
  for (int i = 0; i < 200000; ++i) {
    const double scale = i % 3 == 0 ? 700.0 : i % 3 == 1 ? 20.0 : 0.5;
    const double x = (i % 5 == 0 ? scale : -scale) * random.unit();
    ASSERT_LE(ulps(portable_exp(x), std::exp(static_cast<long double>(x))), 3.0) << x;
  }
}

TEST(PortableMath, log_is_within_three_units_in_the_last_place) {
  Random random{2};
  for (int i = 0; i < 200000; ++i) {
    const double x = i % 2 == 0 ? std::ldexp(1.0 + random.unit(), static_cast<int>(random.below(2000)) - 1000) : 0.5 + random.unit();
    ASSERT_LE(ulps(portable_log(x), std::log(static_cast<long double>(x))), 3.0) << x;
  }
}

TEST(PortableMath, is_exact_where_it_matters_most) {
  EXPECT_EQ(portable_exp(0.0), 1.0);
  EXPECT_EQ(portable_log(1.0), 0.0);
  EXPECT_EQ(portable_exp(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(portable_exp(-800.0), 0.0);
  EXPECT_GT(portable_exp(-707.0), 0.0);
}

}  // namespace
}  // namespace baton
