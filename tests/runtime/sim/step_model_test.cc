// The time of a step by its shape, against the authors' formulas worked out by hand.
#include "runtime/sim/step_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/sim/instance_profile.h"

namespace baton::test {
namespace {

using namespace sim;

distserve::Deployment made_up(std::uint32_t pp) {
  return {.prefill = {1, pp},
          .decode = {1, pp},
          .prefill_cost = {10, 0.5, 0.001},
          .decode_small = {20, 0.25, 1},
          .decode_large = {30, 0.125, 2},
          .small_batch = 3};
}

// Control is 2 ms and 0.0001 ms a token of prompts and of contexts.
TEST(StepModel, a_distserve_step_takes_what_its_shape_says) {
  struct Case {
    const char* name;
    std::uint32_t pp;
    std::vector<StepSpan> spans;
    double ms;
  };
  const std::vector<Case> cases = {
      {"a prompt", 1, {{100, 0}}, 2 + 0.01 + 10 + 50 + 10 + 1},
      {"a pipeline", 2, {{100, 0}}, 2 + 0.01 + 10 + 50 + 10 + 4},
      {"two prompts", 1, {{100, 0}, {200, 0}}, 2 + 0.03 + 10 + 150 + 50 + 1},
      {"a prompt of one token", 1, {{1, 0}}, 2 + 0.0001 + 10 + 0.5 + 0.001 + 1},
      {"the second half of a prompt", 1, {{50, 50}}, 2 + 0.005 + 10 + 25 + 7.5 + 1},
      {"two decodes", 1, {{1, 99}, {1, 199}}, 2 + 0.0298 + 20 + 75 + 2},
      {"a large batch of decodes", 1, {{1, 99}, {1, 99}, {1, 99}}, 2 + 0.0297 + 30 + 37.5 + 6},
      {"a mixture", 1, {{100, 0}, {1, 99}}, 2 + 0.0199 + 10 + 50 + 10 + 1 + 20 + 25 + 1 - 10},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(make_step_model(made_up(c.pp))->step_time(c.spans).count(), std::llround(c.ms * 1e6)) << c.name;
  }
}

TEST(StepModel, a_splitwise_step_asks_the_table_of_its_kind) {
  const splitwise::StepTimes times{{{0, 1000}, {0.5, 1.5}}, {{0, 1000}, {0.25, 0.75}}};
  const auto model = make_step_model(times);
  const std::vector<StepSpan> prompts = {{100, 0}, {300, 0}}, decodes = {{1, 50}, {1, 70}}, mixture = {{99, 0}, {1, 7}};
  EXPECT_EQ(model->step_time(prompts), Milliseconds{900});
  EXPECT_EQ(model->step_time(decodes), Milliseconds{251});
  EXPECT_EQ(model->step_time(mixture), Milliseconds{660});
}

TEST(InstanceProfile, knows_sizes_by_name) {
  const auto opt = load_instance_profile("distserve/opt-13b", distserve::Parallelism{2, 1});
  ASSERT_TRUE(opt.ok()) << opt.error().message;
  EXPECT_EQ(opt->kv_bytes_per_token, 2u * 2 * 40 * 5120);
  EXPECT_EQ(opt->layers, 40u);
  EXPECT_EQ(opt->parallelism, (distserve::Parallelism{2, 1}));
  const auto bloom = load_instance_profile("splitwise/bloom-176b@h100-80gb", std::nullopt);
  ASSERT_TRUE(bloom.ok()) << bloom.error().message;
  EXPECT_EQ(bloom->kv_bytes_per_token, 2u * 2 * 70 * 14336);
  EXPECT_EQ(bloom->kv_tokens, (8u * 85899345920 - 329000000000) / bloom->kv_bytes_per_token);
  EXPECT_EQ(bloom->parallelism, (distserve::Parallelism{8, 1}));
}

TEST(InstanceProfile, refuses_what_it_does_not_know_and_names_what_it_does) {
  struct Case {
    const char* name;
    std::optional<distserve::Parallelism> parallelism;
    const char* says;
  };
  const std::vector<Case> cases = {
      {"", std::nullopt, "distserve/opt-13b, distserve/opt-66b, splitwise/bloom-176b@a100-80gb"},
      {"distserve/opt-31b", std::nullopt, "did you mean \"distserve/opt-13b\"?"},
      {"splitwise/bloom-176b@h100-80g", std::nullopt, "did you mean \"splitwise/bloom-176b@h100-80gb\"?"},
      {"distserve/opt-66b", std::nullopt, "raise tp or pp"},
      {"distserve/opt-13b", distserve::Parallelism{5, 1}, "use tp=1 or 2 or 4"},
      {"splitwise/llama2-70b@a100-80gb", distserve::Parallelism{4, 1}, "use tp=8,pp=1"},
  };
  for (const Case& c : cases) {
    const auto refused = load_instance_profile(c.name, c.parallelism);
    ASSERT_FALSE(refused.ok()) << c.name;
    EXPECT_NE(refused.error().message.find(c.says), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace baton::test
