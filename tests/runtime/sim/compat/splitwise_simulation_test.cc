// Whole runs whose numbers can be derived by hand or stand in the source's own example, and what a trace may not hold.
#include "runtime/sim/compat/splitwise_simulation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/runtime/sim/compat/splitwise_helpers.h"

namespace baton::test::splitwise {
namespace {

using namespace sim::splitwise;

const ClusterWords kTwoPools = {"bloom-176b", "splitwise", "kv_jsq", "h100-80gb:1", "h100-80gb:1", ""};

ClusterWords with_scheduler(const std::string& scheduler) {
  ClusterWords words = kTwoPools;
  words.scheduler = scheduler;
  return words;
}

// SplitwiseSim's stored output for traces/test_trace.csv.
TEST(SplitwiseSimulation, gives_the_numbers_of_the_authors_example) {
  const sim::Trace trace = trace_of({{1, 4096, 32}, {3, 2048, 8}, {4, 2048, 16}});
  const Outcome baseline = run_of(cluster_of({"bloom-176b", "baseline", "token_jsq", "", "", "h100-80gb:1"}), trace);
  EXPECT_EQ(baseline.requests[0].ttft_s, 0.6495982770284172);
  EXPECT_EQ(baseline.requests[0].e2e_s, 1.7447429609198237);
  EXPECT_EQ(baseline.requests[1].ttft_s, 0.25196400948334485);
  EXPECT_EQ(baseline.requests[1].e2e_s, 0.49925474455559815);
  EXPECT_EQ(baseline.requests[2].e2e_s, 0.7818727274953154);
  EXPECT_EQ(baseline.transfers, 0u);

  const Outcome split = run_of(cluster_of({"bloom-176b", "splitwise", "mixed_pool", "h100-80gb:1", "a100-80gb:1", ""}), trace);
  EXPECT_EQ(split.requests[0].ttft_s, 0.6495982770284172);
  EXPECT_EQ(split.requests[0].e2e_s, 2.199226282820625);
  EXPECT_EQ(split.requests[1].e2e_s, 0.6228729543396496);
  EXPECT_EQ(split.requests[2].e2e_s, 1.003018891318284);
  EXPECT_EQ(split.transfers, 3u);
}

// 4096 tokens of 4,014,080 bytes; a decode of one iteration alone takes 35.3 ms.
TEST(SplitwiseSimulation, moves_kv_at_the_speed_of_the_schedulers_link) {
  const sim::Trace trace = trace_of({{1, 4096, 2}});
  const auto transfer_s = [&](const std::string& scheduler) {
    const Cluster cluster = cluster_of(with_scheduler(scheduler));
    const Served served = run_of(cluster, trace).requests[0];
    return served.e2e_s - served.ttft_s - cluster.model.times.at("h100-80gb").token.at(1);
  };
  EXPECT_NEAR(transfer_s("kv_round_robin"), 0.0765625, 1e-12);
  EXPECT_NEAR(transfer_s("mixed_pool"), 0.0765625, 1e-12);
  EXPECT_NEAR(transfer_s("overlap_kv_jsq"), 0.00765625, 1e-12);
  EXPECT_NEAR(transfer_s("kv_round_robin_ethernet"), 1.225, 1e-12);
}

// The token machine has room for 89,234 tokens. While the first request holds 51,001 of them the second's 50,001 do not fit.
TEST(SplitwiseSimulation, tries_a_transfer_without_room_again_after_whole_seconds) {
  const Cluster cluster = cluster_of(kTwoPools);
  const Outcome run = run_of(cluster, trace_of({{1, 50'000, 1001}, {2, 50'000, 2}}));
  const Served& first = run.requests[0];
  const Served& second = run.requests[1];
  ASSERT_TRUE(first.completed && second.completed);
  const double transfer_s = 50'000 * 4'014'080.0 / cluster.hardware.infiniband_bytes_per_s;
  const double waited = second.e2e_s - second.ttft_s - transfer_s - cluster.model.times.at("h100-80gb").token.at(1);
  EXPECT_NEAR(waited, std::ceil((1 + first.e2e_s) - (2 + second.ttft_s)), 1e-9);
  EXPECT_GT(waited, 25);
}

TEST(SplitwiseSimulation, ends_although_a_prompt_finds_no_machine_large_enough) {
  const Cluster cluster = cluster_of({"bloom-176b", "baseline", "token_jsq", "", "", "h100-80gb:1"});
  const sim::Trace trace = trace_of({{1, 90'000, 10}});
  const Outcome run = run_of(cluster, trace);
  EXPECT_TRUE(run.requests[0].placed);
  EXPECT_FALSE(run.requests[0].has_first_token);
  const auto records = to_records(cluster, trace, run);
  EXPECT_EQ(records[0].outcome, "unfinished");
  EXPECT_TRUE(std::isnan(records[0].ttft_ms));
  EXPECT_EQ(records[0].decode_instance, "h100-80gb_0");
}

// Two prompts, made at once, fill the token machine to the last token, so that neither of their decodes finds room, and a third
// waits for ever.
TEST(SplitwiseSimulation, ends_when_only_hopeless_transfers_are_left) {
  ClusterWords words = kTwoPools;
  words.prompt = "h100-80gb:2";
  const Outcome run = run_of(cluster_of(words), trace_of({{1, 44'616, 10}, {1.001, 44'616, 10}, {3, 100, 10}}));
  for (const Served& served : run.requests) {
    EXPECT_TRUE(served.has_first_token);
    EXPECT_FALSE(served.completed);
  }
  EXPECT_EQ(run.transfers, 2u);
}

TEST(SplitwiseSimulation, leaves_what_comes_after_a_day_unplaced) {
  const Cluster cluster = cluster_of(kTwoPools);
  const sim::Trace trace = trace_of({{1, 100, 2}, {86'500, 100, 2}, {86'501, 100, 2}});
  const Outcome run = run_of(cluster, trace);
  EXPECT_TRUE(run.requests[0].completed);
  EXPECT_TRUE(run.requests[1].placed);          // the event that the clock stops at is still run
  EXPECT_FALSE(run.requests[1].completed);
  EXPECT_FALSE(run.requests[2].placed);
  EXPECT_EQ(to_records(cluster, trace, run)[2].prefill_instance, "");
}

// Machine 0 is for prompts, 1 for tokens. With 8192 tokens before it and one prompt waiting there, a request turns to machine 1, which
// so becomes mixed and runs it whole, and the next too. When it has nothing more to do it is a token machine again.
TEST(SplitwiseSimulation, spills_prompts_into_the_mixed_pool_and_comes_home) {
  const Cluster cluster = cluster_of(with_scheduler("mixed_pool"));
  const Outcome run = run_of(cluster, trace_of({{1, 4096, 9}, {1.01, 4096, 9}, {1.02, 4096, 9}, {1.03, 100, 9}, {100, 5000, 9}}));
  EXPECT_EQ(places(cluster, run.requests[0]), "h100-80gb_0 h100-80gb_1");
  EXPECT_EQ(places(cluster, run.requests[1]), "h100-80gb_0 h100-80gb_1");
  EXPECT_EQ(places(cluster, run.requests[2]), "h100-80gb_1 h100-80gb_1");
  EXPECT_EQ(places(cluster, run.requests[3]), "h100-80gb_1 h100-80gb_1");
  EXPECT_EQ(places(cluster, run.requests[4]), "h100-80gb_0 h100-80gb_1");
  EXPECT_EQ(run.transfers, 3u);
}

TEST(SplitwiseSimulation, counts_tokens_requests_or_turns_as_its_scheduler_says) {
  const sim::Trace trace = trace_of({{1, 4000, 50}, {1.001, 10, 50}, {1.002, 10, 50}, {1.003, 10, 50}});
  const auto machines = [&](const std::string& scheduler) {
    const Outcome run = run_of(cluster_of({"bloom-176b", "baseline", scheduler, "", "", "h100-80gb:2"}), trace);
    std::string numbers;
    for (const Served& served : run.requests) numbers += std::to_string(served.prompt_machine);
    return numbers;
  };
  EXPECT_EQ(machines("round_robin"), "0101");
  EXPECT_EQ(machines("jsq"), "0101");
  EXPECT_EQ(machines("token_jsq"), "0111");
}

TEST(SplitwiseSimulation, repeats_itself) {
  const Cluster cluster = cluster_of(with_scheduler("mixed_pool"));
  std::vector<Asked> asked;
  for (std::uint32_t i = 0; i < 300; ++i) asked.push_back({1 + 0.01 * (i / 3), 1 + i * 37 % 4000, 2 + i * 13 % 90});   // in threes
  const sim::Trace trace = trace_of(asked);
  const auto csv = [&] { return sim::to_csv(to_records(cluster, trace, run_of(cluster, trace))); };
  EXPECT_EQ(csv(), csv());
}

TEST(SplitwiseSimulation, refuses_what_the_source_cannot_take_and_says_where) {
  const Cluster cluster = cluster_of(kTwoPools);
  sim::Trace twice = trace_of({{1, 10, 10}, {2, 10, 10}});
  twice[1].id = "0";
  const std::vector<std::pair<sim::Trace, std::string>> cases = {
      {trace_of({{1, 10, 10}, {2, 10, 1}}), "request 1 (2 of the trace) has 1 output tokens, but SplitwiseSim needs at least 2: the prompt "
                                            "phase makes the first"},
      {trace_of({{0, 10, 10}}), "request 0 (1 of the trace) arrives at 0 s, but SplitwiseSim takes only arrivals after 0: shift the trace "
                                "by a second"},
      {trace_of({{NAN, 10, 10}}), "request 0 (1 of the trace) arrives at nan s, but SplitwiseSim takes only arrivals after 0: shift the "
                                  "trace by a second"},
      {trace_of({{2, 10, 10}, {1.5, 10, 10}}), "request 1 (2 of the trace) arrives at 1.5 s, before the one above it (2 s): sort the trace "
                                               "by arrival"},
      {trace_of({{1, 0, 10}}), "request 0 (1 of the trace) has no prompt tokens; at least 1"},
      {twice, "request 0 (2 of the trace) has the id of a request above it"},
  };
  for (const auto& [trace, message] : cases) {
    const auto run = simulate(cluster, trace);
    ASSERT_FALSE(run.ok()) << message;
    EXPECT_EQ(run.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(run.error().message, message);
  }
}

TEST(SplitwiseSimulation, has_nothing_to_say_of_an_empty_trace) {
  const Outcome run = run_of(cluster_of(kTwoPools), {});
  EXPECT_TRUE(run.requests.empty());
  EXPECT_EQ(run.end_s, 0);
}

}  // namespace
}  // namespace baton::test::splitwise
