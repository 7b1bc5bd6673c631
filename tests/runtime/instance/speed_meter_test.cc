// What an instance says of its speed.
#include "runtime/instance/speed_meter.h"

#include "tests/runtime/instance/desk_helpers.h"

namespace baton::testing {
namespace {

TEST(SpeedMeter, knows_nothing_before_a_full_step_and_follows_the_last_ones) {
  SpeedMeter meter{100};
  EXPECT_EQ(meter.prefill_tokens_per_s(), 0u);
  EXPECT_EQ(meter.decode_step_us(), 0u);
  meter.step_done(Milliseconds{100}, 99, 0);                       // not full
  EXPECT_EQ(meter.prefill_tokens_per_s(), 0u);
  meter.step_done(Milliseconds{100}, 200, 0);
  EXPECT_EQ(meter.prefill_tokens_per_s(), 2000u);
  EXPECT_EQ(meter.decode_step_us(), 0u);
  meter.step_done(Milliseconds{8}, 0, 3);
  EXPECT_EQ(meter.decode_step_us(), 8000u);
  meter.step_done(Milliseconds{24}, 0, 3);
  EXPECT_EQ(meter.decode_step_us(), 9000u);
  for (int i = 0; i < 400; ++i) meter.step_done(Milliseconds{500}, 100, 1);
  EXPECT_NEAR(static_cast<double>(meter.prefill_tokens_per_s()), 200.0, 1.0);
  EXPECT_NEAR(meter.decode_step_us(), 500'000.0, 1.0);
}

TEST(SpeedMeter, is_reported_with_the_load_while_it_says_something_of_it) {
  Desk desk{[] {
    InstanceOptions options = small();
    options.prefill_token_budget = 20;
    return options;
  }()};
  desk.on(prefill(key(1), prompt(12)));
  desk.pass(Milliseconds{4}).finish_step();
  EXPECT_EQ(desk.core.load().prefill_tokens_per_s, 3000u);
  EXPECT_EQ(desk.core.load().decode_step_us, 0u);
  desk.pass(Milliseconds{2}).finish_step();
  EXPECT_EQ(desk.core.load().decode_step_us, 2000u);
  desk.pass(Milliseconds{2}).finish_step({kEos});
  EXPECT_EQ(desk.core.load().decode_step_us, 0u) << "nothing runs";
  EXPECT_EQ(desk.core.load().prefill_tokens_per_s, 3000u);
}

}  // namespace
}  // namespace baton::testing
