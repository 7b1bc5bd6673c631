// What an instance does with a PrefillRequest until its first tokens.
#include "tests/runtime/instance/desk_helpers.h"

namespace baton::testing {
namespace {

TEST(Prefill, runs_the_prompt_and_sends_the_first_token_with_its_index) {
  Desk desk;
  desk.on(prefill(key(1), prompt(9)));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 9)));
  desk.finish_step({77});
  ASSERT_THAT(desk.tokens(), SizeIs(1));
  EXPECT_EQ(desk.tokens()[0].token.chosen.token, 77);
  EXPECT_EQ(desk.tokens()[0].index, 0u);
  EXPECT_EQ(desk.tokens()[0].finish, FinishReason::none);
}

TEST(Prefill, counts_the_index_from_the_prompts_end_when_delivered_tokens_are_recomputed) {
  Desk desk;
  PrefillRequest recovery = prefill(key(1, 2), prompt(9));
  recovery.prompt_tokens = 6;
  desk.on(recovery).finish_step();
  EXPECT_EQ(desk.tokens().at(0).index, 3u);
  EXPECT_EQ(desk.core.stats().recomputed_tokens, 3u);
}

TEST(Prefill, cuts_prompts_into_chunks_and_never_exceeds_the_budget_or_overtakes) {
  InstanceOptions options = small();
  options.chunk_tokens = 8;
  options.prefill_token_budget = 12;
  Desk desk(options);
  desk.on(prefill(key(1), prompt(18, 10)));
  desk.on(prefill(key(2), prompt(6, 50))).on(prefill(key(3), prompt(6, 90)));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 8)));
  desk.finish_step();
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(8, 8), Pair(0, 4)));
  EXPECT_THAT(desk.tokens(), IsEmpty());
  desk.finish_step();
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(16, 2), Pair(4, 2), Pair(0, 6)));
  desk.finish_step();
  EXPECT_THAT(desk.tokens(), SizeIs(3));
}

TEST(Prefill, without_chunks_a_prompt_waits_for_a_step_that_takes_it_whole) {
  InstanceOptions options = small();
  options.prefill_token_budget = 10;
  Desk desk(options);
  desk.on(prefill(key(1), prompt(4, 10)));
  desk.on(prefill(key(2), prompt(6, 30))).on(prefill(key(3), prompt(6, 60)));
  desk.finish_step({kEos});
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 6)));      // 3 does not fit beside 2
}

TEST(Prefill, refuses_by_type_what_it_cannot_take) {
  InstanceOptions options = small();
  options.blocks = 10;                                     // 40 tokens
  options.max_waiting = 2;
  struct {
    const char* what;
    std::uint32_t prompt_tokens, max_tokens;
    ErrorCode code;
  } const cases[] = {{"prompt and output need more than an empty pool", 20, 21, ErrorCode::invalid_argument},
                     {"longer than the context", 200, 1, ErrorCode::context_length_exceeded},
                     {"no token", 0, 1, ErrorCode::invalid_argument}};
  for (const auto& c : cases) {
    Desk desk(options);
    PrefillRequest request = prefill(key(1), prompt(c.prompt_tokens));
    request.sampling.max_tokens = c.max_tokens;
    desk.on(request);
    EXPECT_EQ(desk.failure(), c.code) << c.what;
    EXPECT_TRUE(desk.core.idle()) << c.what;
  }
  Desk desk(options);
  desk.on(prefill(key(1), prompt(20)));                    // runs
  desk.on(prefill(key(2), prompt(20))).on(prefill(key(3), prompt(20)));
  EXPECT_EQ(desk.failure(), std::nullopt);
  desk.on(prefill(key(4), prompt(4)));
  EXPECT_EQ(desk.failure(), ErrorCode::queue_full);
  EXPECT_EQ(desk.sent<AttemptFailed>()[0].error.retry_after_s, 1u);
  EXPECT_EQ(desk.core.load().waiting, 2u);
}

TEST(Prefill, ignores_a_repeated_request_and_one_for_another_life_of_the_instance) {
  Desk desk;
  PrefillRequest foreign = prefill(key(2), prompt(4));
  foreign.target.incarnation = Incarnation{6};
  desk.on(foreign);
  EXPECT_TRUE(desk.core.idle());
  desk.on(prefill(key(1), prompt(4))).on(prefill(key(1), prompt(4)));
  desk.finish_step();
  EXPECT_THAT(desk.tokens(), SizeIs(1));
}

TEST(Prefill, reuses_a_cached_prefix_and_says_so_with_the_first_token) {
  Desk desk;
  desk.on(prefill(key(1), prompt(10))).finish_step({kEos});
  auto longer = prompt(10);
  longer.insert(longer.end(), {7, 8, 9});
  desk.on(prefill(key(2), longer));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(8, 5)));
  desk.finish_step();
  EXPECT_EQ(desk.tokens()[0].cached_tokens, 8u);
  EXPECT_EQ(desk.core.stats().prompt_tokens_cached, 8u);
  EXPECT_EQ(desk.core.stats().prefix_hits_tokens, 8u);
  EXPECT_EQ(desk.core.stats().prefix_queries_tokens, 23u);
}

TEST(Prefill, runs_the_last_block_of_a_fully_cached_prompt_again_into_a_private_one) {
  Desk desk;
  desk.on(prefill(key(1), prompt(12)));
  const std::vector<BlockId> first = desk.step->sequences[0].blocks;
  desk.finish_step({kEos});
  desk.on(prefill(key(2), prompt(12)));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(8, 4)));
  EXPECT_EQ(desk.step->sequences[0].blocks[1], first[1]);
  EXPECT_NE(desk.step->sequences[0].blocks[2], first[2]);
}

TEST(Prefill, scores_the_whole_prompt_over_chunks_without_reuse_and_before_the_first_token) {
  InstanceOptions options = small();
  options.chunk_tokens = 5;
  Desk desk(options);
  desk.on(prefill(key(1), prompt(9))).finish_step().finish_step({kEos});
  PrefillRequest scored = prefill(key(2), prompt(9));
  scored.sampling.prompt_logprobs = 0;
  desk.on(scored);
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 5)));
  EXPECT_EQ(desk.step->sequences[0].next_prompt_token, 105);
  desk.finish_step();
  EXPECT_EQ(desk.step->sequences[0].next_prompt_token, -1);
  desk.finish_step();
  const auto scores = desk.sent<PromptScores>();
  ASSERT_THAT(scores, SizeIs(1));
  EXPECT_FALSE(scores[0].last);
  ASSERT_THAT(scores[0].scores, SizeIs(8));
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(scores[0].scores[i].chosen.token, prompt(9)[i + 1]);
  EXPECT_TRUE(std::holds_alternative<SendTo<PromptScores>>(desk.last.front()));
  EXPECT_THAT(desk.tokens(), SizeIs(1));
}

TEST(Prefill, ends_an_echo_of_no_tokens_with_the_scores) {
  Desk desk;
  PrefillRequest echo = prefill(key(1), prompt(6), HandOffMode::pull);
  echo.sampling.max_tokens = 0;
  echo.sampling.prompt_logprobs = 2;
  desk.on(echo);
  EXPECT_THAT(desk.step->sequences[0].sample_choices, IsEmpty());
  desk.finish_step();
  ASSERT_THAT(desk.sent<PromptScores>(), SizeIs(1));
  EXPECT_TRUE(desk.sent<PromptScores>()[0].last);
  EXPECT_THAT(desk.tokens(), IsEmpty());
  EXPECT_TRUE(desk.core.idle());
}

struct FirstToken {
  const char* name;
  TokenId token;
  SamplingParams sampling;
  FinishReason expected;
};
class FirstTokenEnds : public ::testing::TestWithParam<FirstToken> {};

TEST_P(FirstTokenEnds, by_the_same_rule_whatever_the_mode) {
  for (const HandOffMode mode : {HandOffMode::local, HandOffMode::pull, HandOffMode::push_by_layer}) {
    Desk desk;
    PrefillRequest request = prefill(key(1), prompt(6), mode);
    request.sampling = GetParam().sampling;
    desk.on(request).finish_step({GetParam().token});
    ASSERT_THAT(desk.tokens(), SizeIs(1));
    EXPECT_EQ(desk.tokens()[0].finish, GetParam().expected);
    const bool goes_on = GetParam().expected == FinishReason::none;
    EXPECT_EQ(desk.core.idle(), !goes_on);
    EXPECT_EQ(desk.sent<Offer>().size(), goes_on && mode != HandOffMode::local ? 1u : 0u);
    if (!goes_on) {
      EXPECT_EQ(desk.used(), 0u);
    }
  }
}

SamplingParams with(std::uint32_t max_tokens, std::uint32_t min_tokens = 0, bool ignore_eos = false,
                    std::vector<TokenId> stop = {}) {
  SamplingParams sampling;
  sampling.max_tokens = max_tokens;
  sampling.min_tokens = min_tokens;
  sampling.ignore_eos = ignore_eos;
  sampling.stop_token_ids = std::move(stop);
  return sampling;
}

INSTANTIATE_TEST_SUITE_P(Rules, FirstTokenEnds,
                         ::testing::Values(FirstToken{"another_token", 50, with(10), FinishReason::none},
                                           FirstToken{"eos", kEos, with(10), FinishReason::stop},
                                           FirstToken{"ignored_eos", kEos, with(10, 0, true), FinishReason::none},
                                           FirstToken{"eos_before_min_tokens", kEos, with(10, 1), FinishReason::none},
                                           FirstToken{"stop_token", 60, with(10, 0, true, {60}), FinishReason::stop},
                                           FirstToken{"only_token", 50, with(1), FinishReason::length},
                                           FirstToken{"eos_as_only_token", kEos, with(1), FinishReason::stop}),
                         [](const auto& info) { return std::string{info.param.name}; });

TEST(Prefill, ends_at_the_context_limit) {
  InstanceOptions options = small();
  options.max_model_len = 10;
  Desk desk(options);
  desk.on(prefill(key(1), prompt(9))).finish_step();
  EXPECT_EQ(desk.tokens().at(0).finish, FinishReason::length);
}

TEST(Prefill, samples_all_choices_from_one_run_and_offers_if_any_goes_on) {
  Desk desk;
  PrefillRequest request = prefill(key(1), prompt(6), HandOffMode::pull);
  request.first_choice = 2;
  request.choices = 3;
  desk.on(request);
  EXPECT_THAT(desk.step->sequences[0].sample_choices, ElementsAre(2, 3, 4));
  desk.finish_step({kEos, 50, kEos});
  ASSERT_THAT(desk.tokens(), SizeIs(3));
  EXPECT_EQ(desk.tokens()[1].choice, 3u);
  EXPECT_THAT(desk.sent<Offer>(), SizeIs(1));
}

TEST(Prefill, gives_the_sampler_the_history_only_when_it_samples_and_needs_it) {
  InstanceOptions options = small();
  options.chunk_tokens = 4;
  Desk desk(options);
  PrefillRequest request = prefill(key(1), prompt(6));
  request.sampling.presence_penalty = 1;
  desk.on(request);
  EXPECT_THAT(desk.step->sequences[0].history, IsEmpty());
  desk.finish_step();
  EXPECT_EQ(desk.step->sequences[0].history, prompt(6));
  desk.finish_step({77});
  EXPECT_EQ(desk.step->sequences[0].history.back(), 77);
}

TEST(Prefill, fails_the_requests_of_a_step_that_the_device_failed_and_no_others) {
  Desk desk;
  desk.on(prefill(key(1), prompt(6)));
  desk.on(prefill(key(2), prompt(6)));
  const StepId id = std::exchange(desk.step, std::nullopt)->step;
  desk.on(StepFailed{id, {ErrorCode::device_failed, Scope::instance, "the device is out of order"}});
  ASSERT_THAT(desk.sent<AttemptFailed>(), SizeIs(1));
  EXPECT_EQ(desk.sent<AttemptFailed>()[0].key, key(1));
  EXPECT_EQ(desk.failure(), ErrorCode::device_failed);
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 6)));
}

TEST(Prefill, is_refused_while_draining_and_what_runs_goes_on) {
  Desk desk;
  desk.on(prefill(key(1), prompt(6)));
  desk.drain();
  desk.on(prefill(key(2), prompt(6)));
  EXPECT_EQ(desk.failure(), ErrorCode::unavailable);
  EXPECT_TRUE(desk.core.load().draining);
  desk.finish_step();
  EXPECT_THAT(desk.tokens(), SizeIs(1));
}

}  // namespace
}  // namespace baton::testing
