#include "runtime/sim/compat/splitwise_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/runtime/sim/compat/splitwise_helpers.h"

namespace baton::test::splitwise {
namespace {

using namespace sim::splitwise;

const ClusterWords kOneA100 = {"bloom-176b", "baseline", "token_jsq", "", "", "a100-80gb:1"};

TEST(SplitwiseReport, interpolates_between_neighbours_as_numpy_does) {
  const Quantiles four = quantiles_of({4, 1, 3, 2});
  EXPECT_EQ(four.mean, 2.5);
  EXPECT_EQ(four.p50, 2.5);
  EXPECT_DOUBLE_EQ(four.p90, 3.7);
  EXPECT_DOUBLE_EQ(four.p99, 3.97);
  EXPECT_EQ(quantiles_of({7}).p99, 7.0);
  EXPECT_EQ(quantiles_of({}).p50, 0.0);
}

// Alone on an idle A100 machine: no slowdown in TTFT; the run's decode steps are looked up at 1 sequence, the base at 512 tokens.
TEST(SplitwiseReport, measures_slowdowns_against_an_idle_a100) {
  const Cluster cluster = cluster_of(kOneA100);
  const sim::Trace trace = trace_of({{1, 512, 11}});
  const Summary summary = summarise(cluster, trace, run_of(cluster, trace), true);
  ASSERT_TRUE(summary.slowdowns);
  const Curve& token = cluster.model.times.at("a100-80gb").token;
  EXPECT_NEAR(summary.slowdowns->ttft.p50, 1.0, 1e-12);
  EXPECT_NEAR(summary.slowdowns->tbt.p50, token.at(1) * 10 / 11 / token.at(512), 1e-12);
  EXPECT_LT(summary.slowdowns->e2e.p50, 1.0);
  EXPECT_TRUE(summary.slowdowns->all_nine);
}

TEST(SplitwiseReport, needs_every_slowdown_strictly_under_its_limit) {
  Cluster cluster = cluster_of(kOneA100);
  const sim::Trace trace = trace_of({{1, 512, 11}});
  const Outcome run = run_of(cluster, trace);
  const double reached = summarise(cluster, trace, run, true).slowdowns->ttft.p99;
  cluster.hardware.ttft.p99 = reached;
  EXPECT_FALSE(summarise(cluster, trace, run, true).slowdowns->all_nine);
  cluster.hardware.ttft.p99 = reached + 1e-9;
  EXPECT_TRUE(summarise(cluster, trace, run, true).slowdowns->all_nine);
}

TEST(SplitwiseReport, fails_a_run_that_left_a_request_unfinished) {
  const Cluster cluster = cluster_of(kOneA100);
  const sim::Trace trace = trace_of({{1, 512, 11}, {100, 90'000, 11}});
  const Summary summary = summarise(cluster, trace, run_of(cluster, trace), true);
  EXPECT_EQ(summary.completed, 1u);
  EXPECT_FALSE(summary.slowdowns->all_nine);
}

TEST(SplitwiseReport, writes_the_nine_slowdowns_only_when_asked) {
  const Cluster cluster = cluster_of(kOneA100);
  const sim::Trace trace = trace_of({{1, 512, 11}, {2, 100, 5}});
  const Outcome run = run_of(cluster, trace);
  const auto with = nlohmann::json::parse(to_json(summarise(cluster, trace, run, true), kOneA100));
  EXPECT_EQ(with["completed"], 2);
  EXPECT_EQ(with["machines"], "a100-80gb:1");
  EXPECT_EQ(with["all_nine"], true);
  for (const char* metric : {"ttft", "tbt", "e2e"}) {
    for (const char* quantile : {"p50", "p90", "p99"}) EXPECT_TRUE(with["slowdowns"][metric][quantile].is_number_float());
  }
  const auto without = nlohmann::json::parse(to_json(summarise(cluster, trace, run, false), kOneA100));
  EXPECT_FALSE(without.contains("all_nine"));
  EXPECT_FALSE(without.contains("slowdowns"));
  EXPECT_GT(without["ttft_ms"]["p50"], 50.0);
}

}  // namespace
}  // namespace baton::test::splitwise
