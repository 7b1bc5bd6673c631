// Sequences in the batch: continuous batching, forks, growth and preemption.
#include "tests/runtime/instance/desk_helpers.h"

namespace baton::testing {
namespace {

TEST(Decode, runs_decoding_sequences_and_a_new_prompt_in_one_step) {
  Desk desk;
  desk.on(prefill(key(1), prompt(6))).finish_step();
  desk.on(prefill(key(2), prompt(5, 60)));
  desk.finish_step();
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(7, 1), Pair(0, 5)));
  desk.finish_step();
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(8, 1), Pair(5, 1)));
}

TEST(Decode, feeds_each_token_back_until_the_limit) {
  Desk desk;
  PrefillRequest request = prefill(key(1), prompt(3));
  request.sampling.max_tokens = 3;
  desk.on(request).finish_step({71});
  EXPECT_THAT(desk.step->sequences[0].tokens, ElementsAre(71));
  desk.finish_step({72}).finish_step({73});
  EXPECT_EQ(desk.tokens()[0].finish, FinishReason::length);
  EXPECT_EQ(desk.tokens()[0].index, 2u);
  EXPECT_TRUE(desk.core.idle());
  EXPECT_EQ(desk.used(), 0u);
  EXPECT_EQ(desk.core.stats().generated_tokens, 3u);
  EXPECT_EQ(desk.core.stats().prompt_tokens_computed, 3u);
}

TEST(Decode, sends_the_tokens_of_a_step_in_one_message_per_gateway) {
  Desk desk;
  desk.on(prefill(key(1), prompt(3, 10)));
  for (std::uint64_t id = 2; id <= 4; ++id) {
    PrefillRequest request = prefill(key(id), prompt(3, static_cast<TokenId>(20 * id)));
    if (id == 4) request.gateway = kGatewayB;
    desk.on(request);
  }
  desk.finish_step().finish_step().finish_step();
  const auto messages = desk.all<SendTo<StepTokens>>();
  ASSERT_THAT(messages, SizeIs(2));
  EXPECT_THAT(messages[0].message.tokens, SizeIs(3));
  EXPECT_EQ(messages[1].to, kGatewayB);
}

TEST(Decode, forks_choices_by_sharing_full_blocks_and_copying_the_partial_one) {
  Desk desk;
  PrefillRequest request = prefill(key(1), prompt(6));
  request.choices = 3;
  desk.on(request).finish_step({71, 72, 73});
  ASSERT_THAT(desk.step->sequences, SizeIs(3));
  ASSERT_THAT(desk.step->copies, SizeIs(2));
  const auto& parts = desk.step->sequences;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(parts[i].tokens, std::vector<TokenId>{static_cast<TokenId>(71 + static_cast<int>(i))});
    EXPECT_EQ(parts[i].blocks[0], parts[0].blocks[0]);
    EXPECT_THAT(parts[i].sample_choices, ElementsAre(i));
  }
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_NE(parts[i].blocks[1], parts[0].blocks[1]);
    EXPECT_THAT(desk.step->copies, ::testing::Contains(Pair(parts[0].blocks[1], parts[i].blocks[1])));
  }
  desk.finish_step({kEos, kEos, kEos});
  EXPECT_TRUE(desk.core.idle());
  EXPECT_EQ(desk.used(), 0u);
}

TEST(Decode, goes_on_with_the_other_choices_when_one_is_cancelled) {
  Desk desk;
  PrefillRequest request = prefill(key(1), prompt(6));
  request.choices = 2;
  desk.on(request).finish_step();
  desk.on(CancelRequest{key(1), 0});
  desk.finish_step();
  ASSERT_THAT(desk.tokens(), SizeIs(1));
  EXPECT_EQ(desk.tokens()[0].choice, 1u);
  desk.on(CancelRequest{key(1), 1}).finish_step();
  EXPECT_TRUE(desk.core.idle());
}

TEST(Decode, preempts_the_youngest_for_the_oldest_and_sends_no_token_twice) {
  InstanceOptions options = small();
  options.blocks = 4;                                      // 16 tokens
  Desk desk(options);
  desk.on(prefill(key(1), prompt(4, 10)));
  desk.on(prefill(key(2), prompt(4, 50)));
  desk.finish_step().finish_step();                        // each has two blocks now: the pool is full
  for (int i = 0; i < 2; ++i) desk.finish_step();
  EXPECT_EQ(desk.core.stats().preemptions, 0u);
  desk.finish_step();                                      // 1 needs a third block
  EXPECT_EQ(desk.core.stats().preemptions, 1u);
  ASSERT_THAT(desk.step->sequences, SizeIs(1));
  EXPECT_EQ(desk.step->sequences[0].key, key(1));
  EXPECT_EQ(desk.core.load().waiting, 1u);
  desk.finish_step({kEos});                                // 1 ends; 2 recomputes what is not cached
  ASSERT_THAT(desk.step->sequences, SizeIs(1));
  const StepSequence& again = desk.step->sequences[0];
  EXPECT_EQ(again.key, key(2));
  const std::uint32_t known = again.start + static_cast<std::uint32_t>(again.tokens.size());
  desk.finish_step();
  ASSERT_THAT(desk.tokens(), SizeIs(1));
  EXPECT_EQ(desk.tokens()[0].index, known - 4);            // the next one, not one that was sent
  EXPECT_GT(desk.core.stats().recomputed_tokens, 0u);
}

TEST(Decode, admits_first_come_first_served_and_keeps_the_watermark_free) {
  InstanceOptions options = small();
  options.blocks = 10;
  options.watermark_blocks = 2;
  Desk desk(options);
  desk.on(prefill(key(1), prompt(16, 10))).finish_step();  // 5 blocks with its first token's
  desk.on(prefill(key(2), prompt(16, 40)));                // 4 + 2 > 5: waits
  desk.on(prefill(key(3), prompt(2, 90)));                 // would fit, but must not pass
  desk.finish_step();
  EXPECT_THAT(desk.step->sequences, SizeIs(1));
  EXPECT_EQ(desk.core.load().waiting, 2u);
  desk.finish_step({kEos});
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 16), Pair(0, 2)));
}

TEST(Decode, holds_the_blocks_of_a_cancelled_sequence_until_the_step_that_writes_them_is_done) {
  Desk desk;
  desk.on(prefill(key(1), prompt(8)));
  desk.on(CancelRequest{key(1)});
  EXPECT_EQ(desk.used(), 2u);
  EXPECT_FALSE(desk.core.idle());
  desk.finish_step();
  EXPECT_THAT(desk.tokens(), IsEmpty());
  EXPECT_EQ(desk.used(), 0u);
  EXPECT_TRUE(desk.core.idle());
}

TEST(Decode, runs_at_most_max_running_sequences_in_a_step) {
  InstanceOptions options = small();
  options.max_running = 2;
  Desk desk(options);
  PrefillRequest request = prefill(key(1), prompt(6));
  request.choices = 4;
  desk.on(request).finish_step();
  EXPECT_THAT(desk.step->sequences, SizeIs(2));
}

}  // namespace
}  // namespace baton::testing
