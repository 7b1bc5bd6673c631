#include "actors/lazy_timer.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

Instant at(int ms) { return Instant{} + Milliseconds{ms}; }

TEST(LazyTimer, asks_for_one_alarm_while_the_wanted_time_only_moves_back) {
  LazyTimer timer;
  EXPECT_EQ(timer.want(at(100), at(0)), at(100));
  for (int later = 101; later < 200; ++later) EXPECT_EQ(timer.want(at(later), at(0)), std::nullopt);
  const auto rung = timer.ring(at(100));
  EXPECT_FALSE(rung.due);
  EXPECT_EQ(rung.alarm, at(199));
  EXPECT_TRUE(timer.ring(at(199)).due);
}

TEST(LazyTimer, asks_again_when_the_wanted_time_moves_forward) {
  LazyTimer timer;
  EXPECT_EQ(timer.want(at(100), at(0)), at(100));
  EXPECT_EQ(timer.want(at(50), at(0)), at(50));
  EXPECT_TRUE(timer.ring(at(50)).due);
  const auto stale = timer.ring(at(100));          // the first alarm, which nobody waits for any more
  EXPECT_FALSE(stale.due);
  EXPECT_EQ(stale.alarm, std::nullopt);
}

TEST(LazyTimer, is_due_once_for_each_time_it_was_wanted) {
  LazyTimer timer;
  timer.want(at(10), at(0));
  EXPECT_TRUE(timer.ring(at(10)).due);
  EXPECT_FALSE(timer.ring(at(11)).due);
}

TEST(LazyTimer, never_has_an_alarm_pending_for_long_and_is_still_due_in_time) {
  LazyTimer timer;
  std::optional<Instant> alarm = timer.want(at(600'000), at(0));
  Instant now{};
  bool due = false;
  while (!due) {
    ASSERT_TRUE(alarm);
    EXPECT_LE(*alarm - now, LazyTimer::kFarthest);
    now = *alarm;
    const auto rung = timer.ring(now);
    due = rung.due;
    alarm = rung.alarm;
  }
  EXPECT_EQ(now, at(600'000));
}

}  // namespace
}  // namespace baton
