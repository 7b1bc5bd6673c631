// From the start to the one outcome: dispatch, hand-off, order, text and ends, without failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

TEST(RequestDelivery, goes_from_scheduler_to_prefill_to_decode_to_its_outcome) {
  TestRequest request;
  EXPECT_EQ(request.on(StartRequest{}), (Lines{"assign 128/1 prompt 3 output 8 choices 1"}));
  EXPECT_EQ(request.on(assigned(key(128, 1), "P1", "D1")), (Lines{"prefill 128/1 at P1: abc boundary 3 choices 0+1 pull D1"}));
  EXPECT_EQ(request.on("P1", token(key(128, 1), 0, 0, 'd')),
            (Lines{"emit 0 'd' of d", "decode 128/1 at D1: abc boundary 3 choices 0d"}));
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 1, 'e')), (Lines{"emit 0 'e' of e"}));
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 2, '$', FinishReason::stop)),
            (Lines{"emit 0 '' of $ stop", "ended 128/1", "outcome success: 3+3 tokens, 16 cached, recovered 0+0"}));
  EXPECT_TRUE(request.core().ended());
}

TEST(RequestDelivery, by_push_reserves_before_the_prefill) {
  TestRequest request;
  request.on(StartRequest{});
  EXPECT_EQ(request.on(assigned(key(128, 1), "P1", "D1", HandOffMode::push_by_layer)),
            (Lines{"reserve 128/1 at D1 for abc", "prefill 128/1 at P1: abc boundary 3 choices 0+1 push_by_layer D1"}));
}

TEST(RequestDelivery, on_a_mixed_instance_moves_nothing) {
  TestRequest request;
  request.on(StartRequest{});
  EXPECT_EQ(request.on(assigned(key(128, 1), "M1", "M1", HandOffMode::local)),
            (Lines{"prefill 128/1 at M1: abc boundary 3 choices 0+1 local M1"}));
  EXPECT_EQ(request.on("M1", token(key(128, 1), 0, 0, 'd')), (Lines{"emit 0 'd' of d"}));
  EXPECT_EQ(request.on("M1", token(key(128, 1), 0, 1, 'e', FinishReason::length)),
            (Lines{"emit 0 'e' of e length", "ended 128/1", "outcome success: 3+2 tokens, 16 cached, recovered 0+0"}));
}

TEST(RequestDelivery, hands_off_once_all_choices_have_their_first_token_and_only_those_that_go_on) {
  RequestSpec spec = plain_request();
  spec.choices = 3;
  TestRequest request{spec};
  EXPECT_EQ(request.on(StartRequest{}), (Lines{"assign 128/1 prompt 3 output 8 choices 3"}));
  EXPECT_EQ(request.on(assigned(key(128, 1), "P1", "D1")), (Lines{"prefill 128/1 at P1: abc boundary 3 choices 0+3 pull D1"}));
  EXPECT_EQ(request.on("P1", token(key(128, 1), 0, 0, 'd')), (Lines{"emit 0 'd' of d"}));
  EXPECT_EQ(request.on("P1", token(key(128, 1), 1, 0, '$', FinishReason::stop)), (Lines{"emit 1 '' of $ stop"}));
  EXPECT_EQ(request.on("P1", token(key(128, 1), 2, 0, 'f')),
            (Lines{"emit 2 'f' of f", "decode 128/1 at D1: abc boundary 3 choices 0d 2f"}));
  EXPECT_EQ(request.on("D1", token(key(128, 1), 2, 1, 'g', FinishReason::length)), (Lines{"emit 2 'g' of g length"}));
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 1, '$', FinishReason::stop)),
            (Lines{"emit 0 '' of $ stop", "ended 128/1", "outcome success: 3+5 tokens, 16 cached, recovered 0+0"}));
}

struct EndAtFirst {
  HandOffMode mode;
  char letter;
  FinishReason finish;
  Lines said;
};

TEST(RequestDelivery, that_ends_at_the_first_token_leaves_nothing_behind) {
  const std::string outcome = "outcome success: 3+1 tokens, 16 cached, recovered 0+0";
  const std::vector<EndAtFirst> cases = {
      {HandOffMode::pull, '$', FinishReason::stop, {"emit 0 '' of $ stop", "ended 128/1", outcome}},
      // D granted blocks for what P will not offer.
      {HandOffMode::push_by_layer, '$', FinishReason::stop, {"emit 0 '' of $ stop", "cancel 128/1 at D1", "ended 128/1", outcome}},
      // P knows no stop strings and has offered.
      {HandOffMode::pull, 'X', FinishReason::none,
       {"emit 0 '' of X stop by X", "cancel 128/1 at P1", "cancel 128/1 at D1", "ended 128/1", outcome}},
      {HandOffMode::push_by_layer, 'X', FinishReason::none,
       {"emit 0 '' of X stop by X", "cancel 128/1 at P1", "cancel 128/1 at D1", "ended 128/1", outcome}},
  };
  for (const EndAtFirst& c : cases) {
    RequestSpec spec = plain_request();
    spec.stop = {"X"};
    TestRequest request{spec};
    request.on(StartRequest{});
    request.on(assigned(key(128, 1), "P1", "D1", c.mode));
    EXPECT_EQ(request.on("P1", token(key(128, 1), 0, 0, c.letter, c.finish)), c.said);
  }
}

TEST(RequestDelivery, discards_and_does_not_count_what_comes_after_a_stop_string) {
  RequestSpec spec = plain_request();
  spec.stop = {"fg"};
  TestRequest request{spec};
  request.play("P1", "D1", "de");
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 2, 'f')), (Lines{"emit 0 '' of f"})) << "held back: it may begin the stop string";
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 3, 'g')),
            (Lines{"emit 0 '' of g stop by fg", "cancel 128/1 at D1", "ended 128/1",
                   "outcome success: 3+4 tokens, 16 cached, recovered 0+0"}));
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 4, 'h')), Lines{});
}

TEST(RequestDelivery, tells_the_instance_which_choice_a_stop_string_ended) {
  RequestSpec spec = plain_request();
  spec.stop = {"X"};
  spec.choices = 2;
  TestRequest request{spec};
  request.on(StartRequest{});
  request.on(assigned(key(128, 1), "P1", "D1"));
  request.on("P1", token(key(128, 1), 0, 0, 'd'));
  request.on("P1", token(key(128, 1), 1, 0, 'd'));
  EXPECT_EQ(request.on("D1", token(key(128, 1), 1, 1, 'X')), (Lines{"emit 1 '' of X stop by X", "cancel 128/1 at D1 choice 1"}));
  EXPECT_EQ(request.on("D1", token(key(128, 1), 1, 2, 'y')), Lines{});
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 1, 'y')), (Lines{"emit 0 'y' of y"}));
}

struct LastToken {
  std::string name;
  char letter;
  bool include_stop, ignore_eos, skip_special;
  std::vector<TokenId> stop_ids;
  std::string said;
};

TEST(RequestDelivery, counts_the_token_that_ends_it_and_shows_its_text_only_if_asked) {
  const std::vector<LastToken> cases = {
      {"eos", '$', false, false, true, {}, "emit 0 '' of $ stop"},
      {"eos, included, but special", '$', true, false, true, {}, "emit 0 '' of $ stop"},
      {"eos, included and spelt", '$', true, false, false, {}, "emit 0 '$' of $ stop"},
      {"eos that is a stop id too", '$', false, false, true, {'$'}, "emit 0 '' of $ stop"},
      {"eos that only counts as a stop id", '$', false, true, true, {'$'}, "emit 0 '' of $ stop by 36"},
      {"stop id", 'x', false, false, true, {'x'}, "emit 0 '' of x stop by 120"},
      {"stop id, included", 'x', true, false, true, {'x'}, "emit 0 'x' of x stop by 120"},
  };
  for (const LastToken& c : cases) {
    RequestSpec spec = plain_request();
    spec.include_stop_in_output = c.include_stop;
    spec.skip_special_tokens = c.skip_special;
    spec.sampling.ignore_eos = c.ignore_eos;
    spec.sampling.stop_token_ids = c.stop_ids;
    TestRequest request{spec};
    request.play("P1", "D1", "d");
    const Lines said = request.on("D1", token(key(128, 1), 0, 1, c.letter, FinishReason::stop));
    ASSERT_EQ(said.size(), 3u) << c.name;
    EXPECT_EQ(said[0], c.said) << c.name;
    EXPECT_EQ(said[2], "outcome success: 3+2 tokens, 16 cached, recovered 0+0") << c.name;
  }
}

TEST(RequestDelivery, flushes_text_that_only_might_have_begun_a_stop_string) {
  RequestSpec spec = plain_request();
  spec.stop = {"efg"};
  TestRequest request{spec};
  request.play("P1", "D1", "d");
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 1, 'e')), (Lines{"emit 0 '' of e"}));
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 2, 'f', FinishReason::length)).front(), "emit 0 'ef' of f length");
}

TEST(RequestDelivery, delivers_each_index_once_and_in_order_whatever_arrives) {
  TestRequest request;
  request.play("P1", "D1", "d");
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 3, 'g')), Lines{}) << "early";
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 2, 'f')), Lines{}) << "early";
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 3, 'g')), Lines{}) << "early, twice";
  EXPECT_EQ(request.on("P1", token(key(128, 1), 0, 0, 'd')), Lines{}) << "twice";
  EXPECT_EQ(request.on("D1", token(key(128, 2), 0, 1, 'x')), Lines{}) << "of an epoch that is not";
  EXPECT_EQ(request.on("D1", token(key(256, 1), 0, 1, 'x')), Lines{}) << "of another request";
  EXPECT_EQ(request.on("D2", token(key(128, 1), 0, 1, 'x')), Lines{}) << "from another life";
  EXPECT_EQ(request.on("E1", token(key(128, 1), 0, 1, 'x')), Lines{}) << "from nobody it was given to";
  EXPECT_EQ(request.on("D1", token(key(128, 1), 9, 1, 'x')), Lines{}) << "of a choice that is not";
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 1, 'e')), (Lines{"emit 0 'e' of e", "emit 0 'f' of f", "emit 0 'g' of g"}));
}

TEST(RequestDelivery, never_delivers_more_than_max_tokens) {
  RequestSpec spec = plain_request();
  spec.sampling.max_tokens = 2;
  TestRequest request{spec};
  request.play("P1", "D1", "d");
  EXPECT_EQ(request.on("D1", token(key(128, 1), 0, 1, 'e')),      // the instance does not say that it is the last
            (Lines{"emit 0 'e' of e length", "cancel 128/1 at D1", "ended 128/1",
                   "outcome success: 3+2 tokens, 16 cached, recovered 0+0"}));
}

TEST(RequestDelivery, of_a_prompt_only_ends_with_its_scores) {
  RequestSpec spec = plain_request();
  spec.choices = 2;
  spec.sampling.max_tokens = 0;
  spec.sampling.prompt_logprobs = 0;
  TestRequest request{spec};
  request.on(StartRequest{});
  request.on(assigned(key(128, 1), "P1", "D1"));
  EXPECT_EQ(request.on("P1", token(key(128, 1), 0, 0, 'x')), Lines{}) << "no token was asked for";
  const PromptScores scores{.key = key(128, 1), .from = instance("P1"), .scores = std::vector<ScoredToken>(2), .last = true};
  EXPECT_EQ(request.on(scores), (Lines{"scores 2", "emit 0 '' of  length", "emit 1 '' of  length", "ended 128/1",
                                       "outcome success: 3+0 tokens, 0 cached, recovered 0+0"}));
}

TEST(RequestDelivery, of_nothing_asks_nobody) {
  RequestSpec spec = plain_request();
  spec.sampling.max_tokens = 0;
  TestRequest request{spec};
  EXPECT_EQ(request.on(StartRequest{}), (Lines{"emit 0 '' of  length", "outcome success: 3+0 tokens, 0 cached, recovered 0+0"}));
}

}  // namespace
}  // namespace baton
