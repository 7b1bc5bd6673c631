// In which order an instance computes the prompts it was given, and how long the longest of them can wait.
#include "runtime/instance/queue_order.h"

#include <map>
#include <string>

#include "runtime/base/random.h"
#include "tests/runtime/instance/desk_helpers.h"

namespace baton::testing {
namespace {

InstanceOptions ordered(const std::string& order, Duration ageing = Milliseconds{1'000'000}) {
  InstanceOptions options = small();
  options.queue_order = order;
  options.queue_ageing = ageing;
  options.chunk_tokens = options.prefill_token_budget = 8;
  return options;
}

// A prompt whose answer is one token.
PrefillRequest question(std::uint64_t request, std::uint32_t tokens) {
  PrefillRequest asked = prefill(key(request), prompt(tokens, static_cast<TokenId>(1000 * request)));
  asked.sampling.max_tokens = 1;
  return asked;
}

// Who is in each step until nothing is left, and with how many tokens: "1:8 2:4".
std::vector<std::string> steps(Desk& desk) {
  std::vector<std::string> all;
  while (desk.step) {
    std::string line;
    for (const StepSequence& part : desk.step->sequences) {
      line += fmt::format("{}{}:{}", line.empty() ? "" : " ", part.key.request.value, part.tokens.size());
    }
    all.push_back(line);
    desk.finish_step();
  }
  return all;
}

TEST(QueueOrder, orders_prompts_that_wait_and_those_that_have_begun) {
  struct Case {
    const char* order;
    std::vector<std::uint32_t> prompts;        // the first begins before the others come
    std::vector<std::string> steps;
  };
  const std::vector<Case> cases = {
      {"fcfs", {20, 12, 4}, {"1:8", "1:8", "1:4 2:4", "2:8", "3:4"}},
      {"srpt", {20, 12, 4}, {"1:8", "3:4 1:4", "1:8", "2:8", "2:4"}},       // 12 are left of the first: a tie, by age
      {"srpt", {20, 10, 4}, {"1:8", "3:4 2:4", "2:6 1:2", "1:8", "1:2"}},
      {"mlfq", {20, 12, 4}, {"1:8", "2:8", "3:4 1:4", "1:8", "2:4"}},       // the first level is 8 tokens
      {"mlfq", {30, 4, 30}, {"1:8", "2:4 3:4", "3:8", "1:8", "1:8", "3:8", "3:8", "1:6 3:2"}},
  };
  for (const Case& c : cases) {
    Desk desk{ordered(c.order)};
    std::uint64_t request = 0;
    for (const std::uint32_t tokens : c.prompts) desk.on(question(++request, tokens));
    EXPECT_EQ(steps(desk), c.steps) << c.order;
    EXPECT_TRUE(desk.core.idle()) << c.order;
  }
}

TEST(QueueOrder, lets_what_has_waited_long_go_first_and_the_oldest_of_it_before_others) {
  for (const char* order : {"fcfs", "srpt", "mlfq"}) {
    Desk desk{ordered(order, Milliseconds{10})};
    desk.on(question(1, 8)).on(question(2, 16)).on(question(3, 12));
    desk.pass(Milliseconds{10});
    desk.on(question(4, 4));
    EXPECT_EQ(steps(desk), (std::vector<std::string>{"1:8", "2:8", "2:8", "3:8", "3:4 4:4"})) << order;
  }
}

TEST(QueueOrder, lets_an_answer_that_flows_go_before_prompts) {
  for (const char* order : {"srpt", "mlfq"}) {
    Desk desk{ordered(order)};
    desk.on(question(1, 8)).on(question(2, 4));
    PrefillRequest recovery = question(3, 16);
    recovery.prompt_tokens = 12;
    recovery.sampling.max_tokens = 5;
    desk.on(recovery);
    EXPECT_EQ(steps(desk), (std::vector<std::string>{"1:8", "3:8", "3:8", "2:4"})) << order;
  }
}

TEST(QueueOrder, by_age_is_what_it_was_whatever_the_ageing) {
  std::vector<std::vector<std::string>> all;
  for (const int ageing_ms : {1, 7, 1'000'000}) {
    Desk desk{ordered("fcfs", Milliseconds{ageing_ms})};
    Random random{5};
    all.emplace_back();
    for (std::uint64_t request = 1; request <= 200; ++request) {
      desk.on(question(request, static_cast<std::uint32_t>(1 + random.below(40))));
      desk.pass(Milliseconds{static_cast<std::int64_t>(random.below(4))});
      if (desk.step && random.below(3) != 0) desk.finish_step();
    }
    all.back() = steps(desk);
  }
  EXPECT_EQ(all[0], all[2]);
  EXPECT_EQ(all[1], all[2]);
}

// Steps of a millisecond compute at most 8 tokens, and more comes: of 1 to 8 tokens a prompt, three in every step. Returns how long the
// long prompt took to its first token, looking no further than 300 steps.
Duration wait_of_the_long_one(const InstanceOptions& options, std::uint64_t seed, std::uint32_t tokens) {
  Desk desk{options};
  Random random{seed};
  std::uint64_t next = 2;
  const auto short_ones = [&] {
    for (int i = 0; i < 3; ++i) desk.on(question(next++, static_cast<std::uint32_t>(1 + random.below(8))));
  };
  short_ones();
  const Instant came = desk.now;
  desk.on(question(1, tokens));
  for (int i = 0; i < 300; ++i) {
    short_ones();
    desk.pass(Milliseconds{1});
    desk.finish_step();
    for (const TokenOut& token : desk.tokens()) {
      if (token.key == key(1)) return desk.now - came;
    }
  }
  return desk.now - came;
}

TEST(QueueOrder, serves_a_long_prompt_within_the_ageing_and_its_own_time_under_any_stream_of_short_ones) {
  const Duration ageing = Milliseconds{50};
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const auto tokens = static_cast<std::uint32_t>(60 + 5 * seed);
    // The step in flight when it has aged, the older three, and its own.
    const Duration bound = ageing + Milliseconds{1 + 3 + (tokens + 7) / 8};
    for (const char* order : {"srpt", "mlfq"}) {
      EXPECT_LE(wait_of_the_long_one(ordered(order, ageing), seed, tokens), bound) << order << " " << seed;
      EXPECT_GT(wait_of_the_long_one(ordered(order), seed, tokens), bound) << order << " " << seed << " needs no ageing";
    }
  }
}

TEST(QueueOrder, comes_in_by_name_through_the_same_door_as_the_built_in_ones) {
  struct Longest final : QueueOrder {
    std::uint64_t key(const QueuedPrompt& prompt) const override { return ~std::uint64_t{prompt.pending}; }
  };
  ASSERT_TRUE(register_queue_order("longest", [](const QueueOrderOptions&) { return std::make_unique<Longest>(); }).ok());
  EXPECT_EQ(queue_order_names(), (std::vector<std::string>{"fcfs", "longest", "mlfq", "srpt"}));
  EXPECT_EQ(register_queue_order("srpt", {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(register_queue_order("", {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(make_queue_order("long").error().message, "unknown queue order \"long\"; did you mean \"longest\"?");
  Desk desk{ordered("longest")};
  desk.on(question(1, 8)).on(question(2, 4)).on(question(3, 8));
  EXPECT_EQ(steps(desk), (std::vector<std::string>{"1:8", "3:8", "2:4"}));
}

}  // namespace
}  // namespace baton::testing
