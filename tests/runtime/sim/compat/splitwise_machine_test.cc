// One machine by itself: when a run is cut, and who is in the next batch.
#include "runtime/sim/compat/splitwise_machine.h"

#include <gtest/gtest.h>

#include "tests/runtime/sim/compat/splitwise_helpers.h"

namespace baton::test::splitwise {
namespace {

using namespace sim::splitwise;

class SplitwiseMachine : public ::testing::Test {
 protected:
  // A request that arrives now; its number.
  RequestIndex request(std::uint32_t prompt_tokens, std::uint32_t output_tokens) {
    const auto number = static_cast<RequestIndex>(world.requests.size());
    const std::int64_t kv = cluster.model.kv_bytes_per_token;
    world.requests.push_back({.arrival = world.now});
    world.tasks.push_back({.memory = kv * (prompt_tokens + 1), .tokens = prompt_tokens, .iterations = 1});
    world.tasks.push_back({.memory = kv * (output_tokens - 1), .tokens = 1, .iterations = output_tokens - 1.0});
    return number;
  }
  RequestIndex arrive_whole(std::uint32_t prompt_tokens, std::uint32_t output_tokens) {
    const RequestIndex number = request(prompt_tokens, output_tokens);
    machine.arrive(prompt_of(number));
    machine.arrive(tokens_of(number));
    return number;
  }
  // Its prompt ran elsewhere.
  RequestIndex arrive_for_decode(std::uint32_t output_tokens) {
    const RequestIndex number = request(1, output_tokens);
    world.tasks[prompt_of(number)].state = TaskState::complete;
    machine.arrive(tokens_of(number));
    return number;
  }
  RequestIndex arrive_for_prompt(std::uint32_t prompt_tokens) {
    const RequestIndex number = request(prompt_tokens, 2);
    machine.arrive(prompt_of(number));
    return number;
  }
  void run_to_end() {
    for (;;) {
      const Event event = world.events.pop();
      if (!machine.expects(event.serial)) continue;
      world.now = event.time;
      machine.end_iteration();
      machine.start_iteration();
      return;
    }
  }
  double done(RequestIndex number) const { return world.tasks[tokens_of(number)].done; }
  bool runs(TaskIndex task) const { return world.tasks[task].in_batch; }

  Cluster cluster = cluster_of({"bloom-176b", "baseline", "token_jsq", "", "", "h100-80gb:1"});
  World world;
  Machine machine{0, cluster, world};
};

TEST_F(SplitwiseMachine, cuts_a_run_of_decodes_at_the_next_boundary_when_a_prompt_arrives) {
  const RequestIndex decode = arrive_for_decode(101);
  world.now = 0.1;                                   // inside the third iteration of 35.3 ms
  const RequestIndex prompt = arrive_for_prompt(2047);
  run_to_end();
  EXPECT_EQ(done(decode), 3);
  EXPECT_TRUE(runs(prompt_of(prompt)));
  EXPECT_TRUE(runs(tokens_of(decode)));              // 2047 + 1 fit in one batch
}

TEST_F(SplitwiseMachine, lets_a_prompt_longer_than_a_batch_wait_for_the_runs_own_end) {
  const RequestIndex decode = arrive_for_decode(101);
  world.now = 0.1;
  const RequestIndex prompt = arrive_for_prompt(2049);
  run_to_end();
  EXPECT_EQ(done(decode), 100);
  EXPECT_TRUE(runs(prompt_of(prompt)));
}

TEST_F(SplitwiseMachine, cuts_it_all_the_same_when_the_prompts_decode_comes_along) {
  const RequestIndex decode = arrive_for_decode(101);
  world.now = 0.1;
  const RequestIndex prompt = arrive_whole(2049, 10);
  run_to_end();
  EXPECT_EQ(done(decode), 3);
  EXPECT_TRUE(runs(prompt_of(prompt)));              // alone: the first task may exceed the batch's tokens
  EXPECT_FALSE(runs(tokens_of(decode)));
}

TEST_F(SplitwiseMachine, preempts_decodes_that_do_not_fit_beside_a_prompt_and_takes_them_back_first) {
  const RequestIndex first = arrive_for_decode(101);
  const RequestIndex second = arrive_for_decode(101);
  run_to_end();                                      // both run
  const RequestIndex prompt = arrive_for_prompt(2047);
  run_to_end();
  EXPECT_TRUE(runs(prompt_of(prompt)));
  EXPECT_TRUE(runs(tokens_of(first)));
  EXPECT_EQ(world.tasks[tokens_of(second)].state, TaskState::preempted);
  EXPECT_EQ(world.tasks[tokens_of(second)].passed_over, 1u);
  run_to_end();
  EXPECT_TRUE(runs(tokens_of(second)));
}

TEST_F(SplitwiseMachine, puts_a_task_that_was_passed_over_four_times_before_all_others) {
  const RequestIndex decode = arrive_for_decode(101);
  world.now = 0.1;
  for (int i = 0; i < 5; ++i) arrive_for_prompt(2048);         // each fills a batch
  int batches = 0;
  do {
    run_to_end();
    ++batches;
  } while (!runs(tokens_of(decode)));
  EXPECT_EQ(batches, 5);                             // four prompts passed it over, and the fifth waits
  EXPECT_TRUE(machine.has_pending_tasks());
}

TEST_F(SplitwiseMachine, holds_memory_back_from_a_prompt_that_does_not_fit) {
  const RequestIndex large = arrive_whole(80'000, 10);
  const RequestIndex small = arrive_whole(20'000, 10);         // 100,000 of 89,234 tokens
  run_to_end();
  EXPECT_TRUE(runs(tokens_of(large)));
  EXPECT_FALSE(runs(prompt_of(small)));
  run_to_end();                                      // `large` has its nine tokens and frees its KV
  EXPECT_EQ(world.tasks[tokens_of(large)].state, TaskState::complete);
  EXPECT_TRUE(runs(prompt_of(small)));
}

TEST(SplitwiseMachineOrca, batches_prompts_without_a_bound_of_tokens) {
  const Cluster cluster = cluster_of({"bloom-176b", "orca", "jsq", "", "", "h100-80gb:1"});
  const sim::Trace trace = trace_of({{1, 100, 2}, {1.001, 3000, 2}, {1.002, 3000, 2}});
  const Outcome run = run_of(cluster, trace);
  // While the first prompt runs the others gather; then all three requests are one batch.
  const Curve& prompt = cluster.model.times.at("h100-80gb").prompt;
  EXPECT_DOUBLE_EQ(1 + run.requests[0].e2e_s, 1 + prompt.at(100) + 1.1 * prompt.at(6001));
  EXPECT_DOUBLE_EQ(1.001 + run.requests[1].ttft_s, 1.002 + run.requests[2].ttft_s);
}

}  // namespace
}  // namespace baton::test::splitwise
