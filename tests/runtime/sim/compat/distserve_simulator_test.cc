// The rules of DistServe's simulator by small traces, and its numbers on the traces of the facts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "runtime/sim/quantile.h"
#include "tests/runtime/sim/compat/distserve_helpers.h"

namespace baton::test::distserve {
namespace {

using ::testing::HasSubstr;

constexpr double kToleranceMs = 1e-6;
const Timeline kFive{{{512, 4}, {1024, 3}, {128, 5}, {2000, 2}, {64, 6}}, {0, 10, 50, 300, 305}};

struct Expected {
  double ttft, tpot;
};
void expect_latencies(const Deployment& deployment, const Timeline& timeline, const std::vector<Expected>& expected) {
  const auto latencies = run(deployment, timeline);
  ASSERT_EQ(latencies.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(latencies[i].ttft, expected[i].ttft, kToleranceMs) << i;
    EXPECT_NEAR(latencies[i].tpot(timeline.requests[i].output), expected[i].tpot, kToleranceMs) << i;
    EXPECT_NEAR(latencies[i].e2e, latencies[i].ttft + latencies[i].decode, kToleranceMs) << i;
  }
}

// Milliseconds of 13B, tp = pp = 1, by the formulas and coefficients of the release.
double prefill_ms(std::vector<double> prompts) {
  double tokens = 0, squares = 0;
  for (const double prompt : prompts) tokens += prompt, squares += prompt * prompt;
  return 18.10254647486372 + 0.1019122572698738 * tokens + 7.122264314252114e-06 * squares + 1 + 2 + 0.0001 * tokens;
}
double decode_ms(std::vector<double> contexts) {
  const double tokens = std::accumulate(contexts.begin(), contexts.end(), 0.0), requests = static_cast<double>(contexts.size());
  return 19.934702624895458 + 0.0006269356524350583 * (tokens + requests) + 0.03850697740828398 * requests + 2 + 0.0001 * tokens;
}
const Deployment kOne = deployment("opt-13b", Engine::distserve, {1, 1}, {1, 1});

TEST(DistServeSimulator, has_the_authors_latencies_for_five_requests) {
  expect_latencies(kOne, kFive,
                   {{75.199881053, 22.347117995}, {211.405474507, 22.851854194}, {171.405474507, 22.538883947},
                    {253.616118272, 23.428071311}, {276.276622006, 25.221450907}});
}

TEST(DistServeSimulator, has_the_authors_latencies_for_five_requests_on_pipelines) {
  expect_latencies(deployment("opt-13b", Engine::distserve, {2, 2}, {1, 2}), kFive,
                   {{56.547844679, 25.286798160}, {112.936519595, 23.437957303}, {86.717014616, 24.548114443},
                    {167.895679451, 24.127834455}, {174.466653660, 22.697205574}});
}

TEST(DistServeSimulator, batches_all_prompts_that_wait) {
  const auto latencies = run(kOne, {{{512, 0}, {1024, 0}, {128, 0}}, {0, 10, 50}});
  EXPECT_DOUBLE_EQ(latencies[0].ttft, prefill_ms({512}));
  EXPECT_DOUBLE_EQ(latencies[1].ttft, prefill_ms({512}) + prefill_ms({1024, 128}) - 10);
  EXPECT_DOUBLE_EQ(latencies[2].ttft, prefill_ms({512}) + prefill_ms({1024, 128}) - 50);
}

TEST(DistServeSimulator, batches_requests_that_arrive_at_once_from_an_idle_start) {
  const auto latencies = run(kOne, {{{512, 0}, {256, 0}}, {0, 0}});
  EXPECT_DOUBLE_EQ(latencies[0].ttft, prefill_ms({512, 256}));
  EXPECT_DOUBLE_EQ(latencies[1].ttft, prefill_ms({512, 256}));
}

TEST(DistServeSimulator, does_not_let_a_small_prompt_overtake_one_that_does_not_fit) {
  // 66144 tokens fit a batch: with 40000 of the first, the second must wait, and so must the third.
  const auto latencies = run(kOne, {{{40000, 0}, {40000, 0}, {16, 0}}, {0, 0, 0}});
  EXPECT_DOUBLE_EQ(latencies[0].ttft, prefill_ms({40000}));
  EXPECT_DOUBLE_EQ(latencies[2].ttft, prefill_ms({40000}) + prefill_ms({40000, 16}));
}

TEST(DistServeSimulator, decodes_in_steps_that_grow_the_context) {
  const auto latencies = run(kOne, {{{512, 2}}, {0}});
  EXPECT_NEAR(latencies[0].decode, decode_ms({512}) + decode_ms({513}), kToleranceMs);
}

TEST(DistServeSimulator, ends_a_request_without_output_at_its_first_token) {
  const auto latencies = run(kOne, {{{512, 0}}, {0}});
  EXPECT_EQ(latencies[0].decode, 0);
  EXPECT_EQ(latencies[0].tpot(0), 0);
  EXPECT_EQ(latencies[0].e2e, latencies[0].ttft);
}

TEST(DistServeSimulator, limits_a_decode_batch_to_50000_tokens_of_context) {
  // 24999 + 1 and 24999 + 1 fit; with one token more the second waits for the first.
  const auto together = run(kOne, {{{24999, 1}, {24999, 1}}, {0, 0}});
  EXPECT_NEAR(together[0].decode, decode_ms({24999, 24999}), kToleranceMs);
  EXPECT_NEAR(together[1].decode, decode_ms({24999, 24999}), kToleranceMs);
  const auto apart = run(kOne, {{{24999, 1}, {25000, 1}}, {0, 0}});
  EXPECT_NEAR(apart[0].decode, decode_ms({24999}), kToleranceMs);
  EXPECT_NEAR(apart[1].decode, decode_ms({24999}) + decode_ms({25000}), kToleranceMs);
}

TEST(DistServeSimulator, prefers_prefill_where_one_instance_does_both) {
  const Deployment both = deployment("opt-13b", Engine::vllm, {1, 1}, {1, 1});
  const double first = run(both, {{{512, 0}}, {0}})[0].ttft, second = run(both, {{{256, 0}}, {0}})[0].ttft;
  const auto latencies = run(both, {{{512, 1}, {256, 0}}, {0, 1}});
  EXPECT_NEAR(latencies[1].ttft, first - 1 + second, kToleranceMs);
  EXPECT_NEAR(latencies[0].decode, second + run(both, {{{512, 1}}, {0}})[0].decode, kToleranceMs);
}

TEST(DistServeSimulator, stops_prefill_where_nine_million_tokens_wait_to_be_decoded) {
  // Batches of 178 prompts of 2000: after 26 of them 9,256,000 tokens wait, and a step of 24 of these comes before the 27th batch.
  const Deployment both = deployment("opt-13b", Engine::vllm, {4, 1}, {4, 1});
  Timeline timeline;
  for (int i = 0; i < 5000; ++i) timeline.requests.push_back({2000, 1}), timeline.arrivals.push_back(0);
  const auto latencies = run(both, timeline);
  const std::size_t batch = both.prefill_tokens / 2000, batches = 9000000 / 2000 / batch + 1;
  EXPECT_EQ(batch, 178u);
  EXPECT_EQ(batches, 26u);
  EXPECT_GT(latencies[batch * batches - 1].decode, 0);
  EXPECT_LT(latencies[0].e2e, latencies[batch * batches].ttft);
}

TEST(DistServeSimulator, gives_the_same_latencies_when_it_is_used_again) {
  Simulator simulator(deployment("opt-66b", Engine::distserve, {3, 2}, {2, 4}));
  const Timeline timeline = generated(3);
  const std::vector<Latency> once = simulator.run(timeline.requests, timeline.arrivals);
  simulator.run(kFive.requests, kFive.arrivals);
  const std::vector<Latency>& again = simulator.run(timeline.requests, timeline.arrivals);
  ASSERT_EQ(again.size(), once.size());
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(again[i].ttft, once[i].ttft);
    EXPECT_EQ(again[i].e2e, once[i].e2e);
  }
}

TEST(DistServeSimulator, runs_no_requests) { EXPECT_TRUE(run(kOne, {}).empty()); }

TEST(DistServeSimulator, refuses_requests_that_would_never_fit_a_batch) {
  const std::vector<Lengths> fits{{40000, 10000}}, large{{16, 1}, {70000, 0}}, grows{{16, 1}, {16, 1}, {49000, 1001}};
  EXPECT_TRUE(check_fits(kOne, fits).ok());
  EXPECT_THAT(check_fits(kOne, large).error().message, HasSubstr("request 1 has a prompt of 70000 tokens; tp=1,pp=1 holds 66144"));
  EXPECT_THAT(check_fits(kOne, grows).error().message, HasSubstr("request 2 grows to 50001 tokens"));
}

struct Summary {
  double mean, p50, p90, p99, max;
};
void expect_summary(std::vector<double> values, const Summary& expected) {
  EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()), expected.mean, kToleranceMs);
  EXPECT_NEAR(sim::quantile(values, 0.5), expected.p50, kToleranceMs);
  EXPECT_NEAR(sim::quantile(values, 0.9), expected.p90, kToleranceMs);
  EXPECT_NEAR(sim::quantile(values, 0.99), expected.p99, kToleranceMs);
  EXPECT_NEAR(sim::quantile(values, 1), expected.max, kToleranceMs);
}

struct GeneratedRun {
  const char* name;
  const char* model;
  Engine engine;
  double rate;
  Parallelism prefill, decode;
  Summary ttft, tpot;
};
const GeneratedRun kGeneratedRuns[] = {
    {"a", "opt-13b", Engine::distserve, 3, {1, 1}, {1, 1},
     {141.436471, 122.499010, 279.739802, 376.820278, 403.295312}, {31.380877, 31.052056, 34.833546, 36.680511, 37.178232}},
    {"b", "opt-13b", Engine::distserve, 6, {2, 1}, {1, 1},
     {108.068119, 95.702555, 213.634955, 307.876054, 327.144019}, {46.339442, 48.875922, 51.416447, 54.478708, 59.463499}},
    {"d", "opt-66b", Engine::distserve, 1, {4, 1}, {2, 2},
     {183.207756, 166.936981, 276.764920, 450.145966, 515.543554}, {58.054249, 57.840866, 60.624876, 64.192600, 66.228952}},
    {"g", "opt-13b", Engine::vllm, 1, {1, 1}, {1, 1},
     {178.697979, 163.321158, 274.668698, 421.317962, 472.469542}, {35.071566, 34.199899, 40.458257, 58.191532, 77.912598}},
    {"h", "opt-66b", Engine::vllm, 1, {4, 1}, {4, 1},
     {340.134598, 303.246007, 602.571653, 830.640851, 947.840426}, {67.799995, 63.649138, 81.410652, 135.195807, 197.566777}},
};

TEST(DistServeSimulator, has_the_authors_percentiles_for_200_generated_requests) {
  for (const GeneratedRun& expected : kGeneratedRuns) {
    SCOPED_TRACE(expected.name);
    const Timeline timeline = generated(expected.rate);
    const auto latencies = run(deployment(expected.model, expected.engine, expected.prefill, expected.decode), timeline);
    std::vector<double> ttft, tpot;
    for (std::size_t i = 0; i < latencies.size(); ++i) {
      ttft.push_back(latencies[i].ttft);
      tpot.push_back(latencies[i].tpot(timeline.requests[i].output));
    }
    expect_summary(ttft, expected.ttft);
    expect_summary(tpot, expected.tpot);
  }
}

}  // namespace
}  // namespace baton::test::distserve
