// Who is refused at arrival, by which prediction, and the door by which policies come in.
#include "runtime/cluster/admission.h"

#include <gtest/gtest.h>

#include "runtime/cluster/scheduler_core.h"
#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

TEST(Admission, predicts_by_what_the_instances_measured_and_nothing_where_they_did_not) {
  struct Case {
    std::uint64_t pending;
    std::uint32_t prompt;
    std::uint64_t tokens_per_s;
    std::uint32_t step_us;
    std::int64_t first_ms, gap_ms;               // -1: not known
  };
  const std::vector<Case> cases = {
      {0, 100, 1000, 20'000, 100, 20},
      {900, 100, 1000, 0, 1000, -1},
      {900, 100, 0, 20'000, -1, 20},
      {~std::uint64_t{0} - 100, 100, 1, 1'000, 1'000'000'000, 1},        // bounded: a report cannot make it overflow
  };
  for (const Case& c : cases) {
    LoadReport prefill, decode;
    prefill.prefill_tokens_per_s = c.tokens_per_s;
    decode.decode_step_us = c.step_us;
    const Forecast known = forecast(c.pending, c.prompt, prefill, decode);
    EXPECT_EQ(known.first_token, c.first_ms < 0 ? std::nullopt : std::optional<Duration>{Milliseconds{c.first_ms}});
    EXPECT_EQ(known.token_gap, c.gap_ms < 0 ? std::nullopt : std::optional<Duration>{Milliseconds{c.gap_ms}});
  }
}

TEST(Admission, refuses_by_its_rule_and_says_why_and_until_when) {
  struct Case { std::string policy; std::int64_t first_ms, gap_ms, time_left_ms; std::string reason; std::int64_t retry_ms; };
  const std::vector<Case> cases = {
      {"none", 1'000'000, 1'000'000, 1, "", 0},
      {"deadline", -1, -1, 1, "", 0},
      {"deadline", 500, 1'000'000, 500, "", 0},
      {"deadline", 501, -1, 500, "the first token would come in about 501 ms, and the deadline is in 500 ms", 1},
      {"early_rejection", -1, -1, 1, "", 0},
      {"early_rejection", 2000, 100, 1, "", 0},
      {"early_rejection", 2700, 5, 60'000, "the first token would come in about 2700 ms, more than the 2000 ms of slo_ttft_ms", 700},
      {"early_rejection", 5, 101, 60'000, "tokens come every 101 ms, more than the 100 ms of slo_itl_ms", 0},
      {"early_rejection", -1, 101, 60'000, "tokens come every 101 ms, more than the 100 ms of slo_itl_ms", 0},
  };
  const auto time = [](std::int64_t ms) { return ms < 0 ? std::nullopt : std::optional<Duration>{Milliseconds{ms}}; };
  for (const Case& c : cases) {
    const auto policy = make_admission(c.policy, {.slo_ttft = Milliseconds{2000}, .slo_itl = Milliseconds{100}});
    ASSERT_TRUE(policy.ok());
    const auto refused = (*policy)->refuse({.time_left = Milliseconds{c.time_left_ms}, .forecast = {time(c.first_ms), time(c.gap_ms)}});
    EXPECT_EQ(refused ? refused->reason : "", c.reason) << c.policy;
    EXPECT_EQ(refused ? refused->retry_after : Duration{}, Milliseconds{c.retry_ms}) << c.policy << " " << c.reason;
  }
}

// What a scheduler with a prefill instance P that computes 1000 tokens a second and a decode instance D says to a prompt.
struct Pair {
  explicit Pair(SchedulerOptions options) : core(std::move(options)) {
    for (const auto& [name, role] : {std::pair{"P", Role::prefill}, {"D", Role::decode}}) {
      core.on(InstanceJoined{{.self = instance(name), .role = role, .blocks_total = 1000}}, at(0));
    }
    report({.self = instance("P"), .prefill_tokens_per_s = 1000});
    gap(10'000);
  }
  void gap(std::uint32_t us) { report({.self = instance("D"), .decode_step_us = us}); }
  void report(LoadReport report) {
    report.sequence = ++reports;
    report.queue_capacity = 9;
    report.blocks_total = 1000;
    core.on(report, at(0));
  }
  // 0: taken; else the seconds after which to come again.
  std::uint32_t ask(std::uint64_t request, std::uint32_t prompt, std::uint32_t epoch = 1, std::int64_t left_ms = 60'000) {
    const AssignRequest message{.key = key(request, epoch), .prompt_tokens = prompt, .max_output_tokens = 10,
                                .time_left = Milliseconds{left_ms}};
    const SchedulerCommands said = core.on(instance("G"), message, at(1));
    core.check_invariants();
    const auto* refused = std::get_if<ReplyRefused>(&said.at(0));
    if (refused == nullptr) return 0;
    EXPECT_EQ(refused->message.error.code, ErrorCode::queue_full);
    return refused->message.error.retry_after_s;
  }
  SchedulerCore core;
  std::uint64_t reports = 0;
};

TEST(Admission, counts_what_was_assigned_and_does_not_refuse_what_was_taken_once) {
  Pair early{{.admission = "early_rejection", .admission_options = {.slo_ttft = Milliseconds{2000}, .slo_itl = Milliseconds{50}}}};
  EXPECT_EQ(early.ask(1, 1500), 0u);
  EXPECT_EQ(early.ask(2, 2600), 3u) << "4.1 seconds, 2.1 too many";
  EXPECT_EQ(early.ask(2, 500), 0u) << "that is 2.0";
  EXPECT_EQ(early.ask(3, 1), 1u);
  EXPECT_EQ(early.ask(1, 1600, 2), 0u) << "a recovery";
  early.core.on(instance("G"), RequestEnded{key(1, 2)}, at(1));
  early.core.on(instance("G"), RequestEnded{key(2, 1)}, at(1));
  early.core.on(instance("G"), RequestEnded{key(3, 1)}, at(1));
  EXPECT_EQ(early.ask(4, 501), 1u) << "of 1 the first epoch is not reported ended";
  EXPECT_EQ(early.ask(4, 500), 0u);
  early.gap(50'001);
  EXPECT_EQ(early.ask(5, 100), 1u);
  early.gap(0);
  EXPECT_EQ(early.ask(5, 0), 0u) << "nothing runs there any more";

  Pair deadline{{.admission = "deadline"}};
  EXPECT_EQ(deadline.ask(1, 5000, 1, 4000), 1u);
  EXPECT_EQ(deadline.ask(1, 5000, 1, 5000), 0u);
  EXPECT_EQ(deadline.ask(2, 100'000, 1, 5000), 60u) << "no longer than a minute";
  Pair none{{}};
  EXPECT_EQ(none.ask(1, 1'000'000, 1, 1), 0u);
}

TEST(Admission, comes_in_by_name_through_the_same_door_as_the_built_in_ones) {
  struct Closed final : AdmissionPolicy {
    std::optional<Refusal> refuse(const AdmissionQuestion&) override { return Refusal{"closed", Milliseconds{1500}}; }
  };
  ASSERT_TRUE(register_admission("closed", [](const AdmissionOptions&) { return std::make_unique<Closed>(); }).ok());
  EXPECT_EQ(admission_names(), (std::vector<std::string>{"closed", "deadline", "early_rejection", "none"}));
  EXPECT_EQ(register_admission("none", {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(register_admission("", {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(make_admission("dedline").error().message, "unknown admission policy \"dedline\"; did you mean \"deadline\"?");
  Pair pair{{.admission = "closed"}};
  EXPECT_EQ(pair.ask(1, 1), 2u);
}

}  // namespace
}  // namespace baton
