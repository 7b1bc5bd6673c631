// What fails, who is told, and from where it goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

AttemptFailed failed(RequestKey key, const std::string& from, ErrorCode code, const std::string& culprit = "") {
  return {.key = key, .from = instance(from), .error = {code, Scope::instance, "it failed"},
          .culprit = instance(culprit.empty() ? from : culprit)};
}
AssignRefused refused(RequestKey key, ErrorCode code, std::uint32_t retry_after_s = 0) {
  return {.key = key, .error = {code, Scope::cluster, "no", "", retry_after_s}};
}

TEST(RequestRecovery, starts_over_at_the_next_epoch_when_the_prefill_instance_is_lost_before_its_token) {
  TestRequest request;
  request.on(StartRequest{});
  request.on(assigned(key(128, 1), "P1", "D1"));
  EXPECT_EQ(request.on(InstanceLost{instance("P1")}),
            (Lines{"cancel 128/1 at D1", "ended 128/1", "assign 128/2 prompt 3 output 8 choices 1 avoid P"}));
  EXPECT_EQ(request.on("P1", token(key(128, 1), 0, 0, 'x')), Lines{}) << "a late token of the lost one";
  EXPECT_EQ(request.on(assigned(key(128, 1), "P1", "D1")), Lines{}) << "a late answer";
  request.on(assigned(key(128, 2), "Q1", "D1"));
  EXPECT_EQ(request.on("Q1", token(key(128, 2), 0, 0, '$', FinishReason::stop)).back(),
            "outcome success: 3+1 tokens, 16 cached, recovered 1+0");
}

TEST(RequestRecovery, leaves_it_to_decode_to_recompute_when_prefill_is_lost_after_the_hand_off_began) {
  TestRequest request;
  request.play("P1", "D1", "d");
  EXPECT_EQ(request.on(InstanceLost{instance("P1")}), Lines{});
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 1, 'e')), (Lines{"emit 0 'e' of e"}));
}

TEST(RequestRecovery, goes_on_from_prompt_and_delivered_tokens_when_the_decode_instance_is_lost) {
  TestRequest request;
  request.play("P1", "D1", "def");
  EXPECT_EQ(request.on(InstanceLost{instance("D1")}),
            (Lines{"cancel 128/1 at P1", "ended 128/1", "assign 128/2 prompt 6 output 5 choices 1 avoid D"}));
  EXPECT_EQ(request.on(assigned(key(128, 2), "P1", "E1")), (Lines{"prefill 128/2 at P1: abcdef boundary 3 choices 0+1 pull E1"}));
  EXPECT_EQ(request.on("P1", token(key(128, 2), 0, 3, 'g')),
            (Lines{"emit 0 'g' of g", "decode 128/2 at E1: abcdef boundary 3 choices 0g"}));
  EXPECT_EQ(request.on("E1", token(key(128, 2), 0, 4, '$', FinishReason::stop)),
            (Lines{"emit 0 '' of $ stop", "ended 128/2", "outcome success: 3+5 tokens, 16 cached, recovered 0+1"}));
}

TEST(RequestRecovery, of_a_mixed_instance_tells_nobody_else) {
  TestRequest request;
  request.on(StartRequest{});
  request.on(assigned(key(128, 1), "M1", "M1", HandOffMode::local));
  request.on("M1", token(key(128, 1), 0, 0, 'd'));
  EXPECT_EQ(request.on(InstanceLost{instance("M1")}), (Lines{"ended 128/1", "assign 128/2 prompt 4 output 7 choices 1 avoid M"}));
}

TEST(RequestRecovery, dispatches_each_unfinished_choice_by_itself) {
  RequestSpec spec = plain_request();
  spec.choices = 3;
  TestRequest request{spec};
  request.on(StartRequest{});
  request.on(assigned(key(128, 1), "P1", "D1"));
  for (std::uint32_t c = 0; c < 3; ++c) request.on("P1", token(key(128, 1), c, 0, 'd'));
  request.on("D1", token(key(128, 1), 1, 1, 'e', FinishReason::length));
  request.on("D1", token(key(128, 1), 2, 1, 'f'));
  EXPECT_EQ(request.on(InstanceLost{instance("D1")}),
            (Lines{"cancel 128/1 at P1", "ended 128/1", "assign 128/2 prompt 4 output 7 choices 1 avoid D",
                   "assign 130/2 prompt 5 output 6 choices 1 avoid D"}));
  EXPECT_EQ(request.on(assigned(key(130, 2), "P1", "E1")), (Lines{"prefill 130/2 at P1: abcdf boundary 3 choices 2+1 pull E1"}));
  EXPECT_EQ(request.on(assigned(key(128, 2), "M1", "M1", HandOffMode::local)),
            (Lines{"prefill 128/2 at M1: abcd boundary 3 choices 0+1 local M1"}));
  EXPECT_EQ(request.on("P1", token(key(130, 2), 0, 2, 'x')), Lines{}) << "choice 0 is not in that attempt";
  EXPECT_EQ(request.on("P1", token(key(130, 2), 2, 2, '$', FinishReason::stop)), (Lines{"emit 2 '' of $ stop", "ended 130/2"}));
  EXPECT_EQ(request.on("M1", token(key(128, 2), 0, 1, '$', FinishReason::stop)),
            (Lines{"emit 0 '' of $ stop", "ended 128/2", "outcome success: 3+7 tokens, 16 cached, recovered 0+2"}));
}

TEST(RequestRecovery, before_any_token_dispatches_all_choices_together_again) {
  RequestSpec spec = plain_request();
  spec.choices = 4;
  TestRequest request{spec};
  request.on(StartRequest{});
  request.on(assigned(key(128, 1), "P1", "D1"));
  EXPECT_EQ(request.on(InstanceLost{instance("P1")}).back(), "assign 128/2 prompt 3 output 8 choices 4 avoid P");
}

TEST(RequestRecovery, ends_at_once_on_what_no_other_instance_would_cure) {
  for (const ErrorCode code : {ErrorCode::invalid_argument, ErrorCode::context_length_exceeded, ErrorCode::deadline_exceeded,
                               ErrorCode::cancelled, ErrorCode::unsupported}) {
    TestRequest request;
    request.on(StartRequest{});
    request.on(assigned(key(128, 1), "P1", "D1"));
    EXPECT_EQ(request.on(failed(key(128, 1), "P1", code)).back(),
              fmt::format("outcome {}: 3+0 tokens, 0 cached, recovered 0+0", to_string(code)));
  }
}

TEST(RequestRecovery, ignores_a_failure_that_no_longer_matters) {
  TestRequest request;
  request.play("P1", "D1", "de");
  EXPECT_EQ(request.on(failed(key(128, 1), "P1", ErrorCode::lease_ended)), Lines{}) << "D has the KV: it made a token";
  EXPECT_EQ(request.on(failed(key(128, 1), "E1", ErrorCode::device_failed)), Lines{}) << "from nobody it was given to";
  EXPECT_EQ(request.on(failed(key(128, 2), "D1", ErrorCode::device_failed)), Lines{}) << "of no epoch of ours";
  EXPECT_EQ(request.on(InstanceLost{instance("D2")}), Lines{}) << "another life of D";
}

TEST(RequestRecovery, starts_over_when_the_lease_ends_before_decode_spoke) {
  TestRequest request;
  request.play("P1", "D1", "d");
  EXPECT_EQ(request.on(failed(key(128, 1), "P1", ErrorCode::lease_ended, "D1")),
            (Lines{"cancel 128/1 at P1", "cancel 128/1 at D1", "ended 128/1", "assign 128/2 prompt 4 output 7 choices 1 avoid D"}));
}

TEST(RequestRecovery, avoids_the_culprit_and_its_accuser_only_when_it_accuses_again) {
  struct Case { std::string prefill, decode, from, culprit, avoided; };
  const Case cases[] = {
      {"P1", "D1", "P1", "D1", "D"},                        // P cannot reach D
      {"Q1", "E1", "E1", "Q1", "DQ"},                       // E cannot reach Q
      {"P1", "E1", "P1", "E1", "DQPE"},                     // P cannot reach E either
      {"Q1", "D1", "Q1", "Q1", "DPEQ"},                     // Q failed by itself
      {"R1", "F1", "R1", "Z1", "DPEQR"},                    // Z has no part in it
  };
  TestRequest request;
  request.on(StartRequest{});
  std::uint32_t epoch = 0;
  for (const Case& c : cases) {
    request.on(assigned(key(128, ++epoch), c.prefill, c.decode));
    Lines said = request.on(failed(key(128, epoch), c.from, ErrorCode::peer_unreachable, c.culprit));
    if (epoch > 1) said = request.on(RequestTick{}, *request.timer());
    EXPECT_EQ(said.back(), fmt::format("assign 128/{} prompt 3 output 8 choices 1 avoid {}", epoch + 1, c.avoided));
  }
}

TEST(RequestRecovery, tells_the_client_at_once_that_the_cluster_is_full) {
  RequestSpec spec = plain_request();
  RequestCore core{spec, std::make_shared<LetterTokenizer>()};
  core.on(StartRequest{}, at(0));
  const RequestCommands said = core.on(refused(key(128, 1), ErrorCode::queue_full, 7), at(1));
  const auto& outcome = std::get<RequestOutcome>(said.back());
  EXPECT_EQ(outcome.error->code, ErrorCode::queue_full);
  EXPECT_EQ(outcome.error->retry_after_s, 7u);
}

TEST(RequestRecovery, asks_again_with_backoff_until_the_assign_deadline_while_nobody_is_there) {
  TestRequest request;
  request.on(StartRequest{}, at(0));
  Instant now = at(0);
  std::vector<Duration> gaps;
  Lines said;
  while (!request.core().ended()) {
    ASSERT_EQ(request.on(refused(key(128, 1), ErrorCode::unavailable), now), Lines{});
    gaps.push_back(*request.timer() - now);
    now = *request.timer();
    said = request.on(RequestTick{}, now);
  }
  EXPECT_EQ(now, at(5000)) << "the assign deadline";
  EXPECT_EQ(said, (Lines{"ended 128/1", "outcome unavailable: 3+0 tokens, 0 cached, recovered 0+0"}));
  EXPECT_LE(gaps.front(), Milliseconds{20});
  for (const Duration gap : gaps) EXPECT_LE(gap, Milliseconds{500});
  EXPECT_LT(gaps.size(), 30u);
}

TEST(RequestRecovery, asks_again_when_the_scheduler_is_silent_and_names_it_in_the_end) {
  TestRequest request;
  request.on(StartRequest{}, at(0));
  EXPECT_EQ(request.timer(), at(500));
  EXPECT_EQ(request.on(RequestTick{}, at(500)), (Lines{"assign 128/1 prompt 3 output 8 choices 1"}));
  EXPECT_EQ(request.on(RequestTick{}, at(600)), Lines{}) << "not yet";
  EXPECT_EQ(request.on(RequestTick{}, at(5000)).back(), "outcome unavailable: 3+0 tokens, 0 cached, recovered 0+0");
}

TEST(RequestRecovery, waits_out_a_full_cluster_when_the_client_already_has_tokens) {
  TestRequest request;
  request.play("P1", "D1", "de");
  request.on(InstanceLost{instance("D1")}, at(10));
  EXPECT_EQ(request.on(refused(key(128, 2), ErrorCode::queue_full, 3), at(11)), Lines{});
  EXPECT_EQ(request.on(RequestTick{}, *request.timer()), (Lines{"assign 128/2 prompt 5 output 6 choices 1 avoid D"}));
  EXPECT_EQ(request.on(refused(key(128, 2), ErrorCode::queue_full, 3), at(5010)).back(),
            "outcome queue_full: 3+2 tokens, 16 cached, recovered 0+1");
}

TEST(RequestRecovery, takes_a_full_queue_elsewhere_without_counting_it_as_a_failure) {
  RequestSpec spec = plain_request();
  spec.max_attempts = 1;
  TestRequest request{spec};
  request.on(StartRequest{}, at(0));
  request.on(assigned(key(128, 1), "P1", "D1"), at(0));
  EXPECT_EQ(request.on(failed(key(128, 1), "P1", ErrorCode::queue_full), at(0)),
            (Lines{"cancel 128/1 at P1", "cancel 128/1 at D1", "ended 128/1"})) << "asked again only after a pause";
  EXPECT_EQ(request.on(RequestTick{}, *request.timer()), (Lines{"assign 128/2 prompt 3 output 8 choices 1 avoid P"}));
  EXPECT_EQ(request.on(refused(key(128, 2), ErrorCode::queue_full, 1), at(30)).back(),
            "outcome queue_full: 3+0 tokens, 0 cached, recovered 0+0");
}

TEST(RequestRecovery, gives_up_after_max_attempts_with_the_last_reason) {
  RequestSpec spec = plain_request();
  spec.max_attempts = 3;
  RequestCore core{spec, std::make_shared<LetterTokenizer>()};
  RequestCommands said = core.on(StartRequest{}, at(0));
  Instant now = at(0);
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
    if (epoch == 3) {
      EXPECT_GT(*timer_of(said), now) << "the second failure in a row waits";
      now = *timer_of(said);
      core.on(RequestTick{}, now);
    }
    core.on(assigned(key(128, epoch), "P1", "D1"), now);
    said = core.on(failed(key(128, epoch), "P1", ErrorCode::device_failed), now);
  }
  const auto& outcome = std::get<RequestOutcome>(said.back());
  EXPECT_EQ(outcome.error->code, ErrorCode::unavailable);
  EXPECT_EQ(outcome.error->message, "gave up after 3 attempts; the last: it failed");
}

TEST(RequestRecovery, outlives_any_number_of_failures_as_long_as_each_attempt_brings_a_token) {
  RequestSpec spec = plain_request();
  spec.sampling.max_tokens = 1000;
  spec.max_attempts = 2;
  TestRequest request{spec};
  request.on(StartRequest{}, at(0));
  Instant now = at(0);
  for (std::uint32_t epoch = 1; epoch <= 60; ++epoch) {
    const bool decode_speaks = epoch % 2 == 0;
    const std::uint32_t index = epoch - 1 + (epoch - 1) / 2;
    request.on(assigned(key(128, epoch), "P1", "D1"), now);
    EXPECT_EQ(request.on("P1", token(key(128, epoch), 0, index, 'x'), now).front(), "emit 0 'x' of x") << epoch;
    if (decode_speaks) request.on("D1", token(key(128, epoch), 0, index + 1, 'y'), now);
    request.on(InstanceLost{instance("D1")}, now);
    ASSERT_FALSE(request.core().ended()) << epoch;
    now = std::max(now, std::min(*request.timer(), now + Milliseconds{500}));
    request.on(RequestTick{}, now);
  }
  request.on(assigned(key(128, 61), "P1", "D1"), now);
  request.on(failed(key(128, 61), "P1", ErrorCode::device_failed), now);
  now = *request.timer();
  request.on(RequestTick{}, now);
  request.on(assigned(key(128, 62), "P1", "D1"), now);
  EXPECT_EQ(request.on(failed(key(128, 62), "P1", ErrorCode::device_failed), now).back(),
            "outcome unavailable: 3+90 tokens, 16 cached, recovered 1+60")
      << "two in a row without a token";
}

TEST(RequestRecovery, pauses_before_the_next_prefill_while_no_decode_instance_goes_on_from_one) {
  TestRequest request;
  request.on(StartRequest{}, at(0));
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
    request.on(assigned(key(128, epoch), "P1", "D1"), at(0));
    request.on("P1", token(key(128, epoch), 0, epoch - 1, 'x'), at(0));
    const Lines said = request.on(failed(key(128, epoch), "D1", ErrorCode::device_failed), at(0));
    EXPECT_EQ(said.back().substr(0, 6), epoch == 1 ? "assign" : "ended ") << epoch;
    if (epoch > 1) request.on(RequestTick{}, *request.timer());
  }
}

TEST(RequestRecovery, ends_everywhere_at_the_deadline_or_when_the_client_goes) {
  for (const bool by_client : {true, false}) {
    TestRequest request;
    request.play("P1", "D1", "de");
    EXPECT_EQ(request.timer(), at(600'000));
    const Lines said = by_client ? request.on(CancelByClient{}, at(5)) : request.on(RequestTick{}, at(600'000));
    EXPECT_EQ(said, (Lines{"cancel 128/1 at P1", "cancel 128/1 at D1", "ended 128/1",
                           fmt::format("outcome {}: 3+2 tokens, 16 cached, recovered 0+0",
                                       by_client ? "cancelled" : "deadline_exceeded")}));
    EXPECT_EQ(request.on(CancelByClient{}, at(600'001)), Lines{}) << "one outcome";
    EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 2, 'f'), at(600'001)), Lines{});
  }
}

TEST(RequestRecovery, scores_the_prompt_once_and_no_longer_asks_for_what_it_has) {
  RequestSpec spec = plain_request();
  spec.sampling.prompt_logprobs = 1;
  RequestCore core{spec, std::make_shared<LetterTokenizer>()};
  const PromptScores one{.key = key(128, 1), .from = instance("P1"), .scores = std::vector<ScoredToken>(1)};
  core.on(StartRequest{}, at(0));
  core.on(assigned(key(128, 1), "P1", "D1"), at(0));
  EXPECT_EQ(lines(core.on(one, at(0))), (Lines{"scores 1"}));
  core.on(InstanceLost{instance("P1")}, at(0));
  RequestCommands said = core.on(assigned(key(128, 2), "Q1", "D1"), at(0));
  EXPECT_EQ(std::get<SendToInstance<PrefillRequest>>(said.front()).message.sampling.prompt_logprobs, 1) << "one is missing";
  EXPECT_EQ(lines(core.on(one, at(0))), Lines{}) << "of the older epoch";
  const PromptScores both{.key = key(128, 2), .from = instance("Q1"), .scores = std::vector<ScoredToken>(2)};
  EXPECT_EQ(lines(core.on(both, at(0))), (Lines{"scores 1"})) << "the one that was missing";
  core.on(InstanceLost{instance("Q1")}, at(0));
  core.on(RequestTick{}, at(100));
  said = core.on(assigned(key(128, 3), "P2", "D1"), at(100));
  EXPECT_EQ(std::get<SendToInstance<PrefillRequest>>(said.front()).message.sampling.prompt_logprobs, -1);
}

TEST(RequestRecovery, goes_elsewhere_when_tokens_were_lost_on_the_way) {
  RequestSpec spec = plain_request();
  spec.sampling.max_tokens = 1000;
  TestRequest request{spec};
  request.play("P1", "D1", "d");
  Lines said;
  std::uint32_t index = 2;                       // 1 never comes
  while (said.empty() && index < 1000) said = request.on("D1", token(key(128, 1), 0, index++, 'x'));
  EXPECT_EQ(said.back(), "assign 128/2 prompt 4 output 999 choices 1 avoid D");
}

}  // namespace
}  // namespace baton
