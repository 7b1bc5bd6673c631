#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "runtime/sim/quantile.h"
#include "tests/runtime/sim/compat/distserve_helpers.h"

namespace baton::test::distserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Workload one_request() { return {.requests = {{128, 4}}, .unit_gaps = {0}}; }

struct Counts {
  std::uint32_t nodes, gpus;
  std::size_t high, high_runnable, low, low_runnable;
};
struct ModelCounts {
  const char* model;
  std::vector<Counts> rows;
};
// Of the release's search, enumerated and run to the end.
const ModelCounts kCounts[] = {
    {"opt-13b", {{1, 2, 1, 1, 1, 1}, {1, 4, 9, 9, 9, 9}, {1, 8, 48, 42, 48, 42}, {2, 8, 208, 114, 96, 78}, {4, 8, 569, 191, 133, 103}}},
    {"opt-66b", {{1, 2, 1, 0, 1, 0}, {1, 4, 11, 1, 11, 1}, {1, 8, 61, 18, 61, 18}, {2, 8, 229, 72, 122, 36}, {4, 8, 613, 160, 183, 54}}},
    {"opt-175b", {{1, 2, 1, 0, 1, 0}, {1, 4, 13, 0, 13, 0}, {1, 8, 88, 0, 88, 0}, {2, 8, 376, 0, 176, 0}, {4, 8, 1132, 0, 325, 0}}},
};

TEST(DistServeSearch, enumerates_and_runs_as_many_candidates_as_the_authors) {
  for (const ModelCounts& expected : kCounts) {
    for (const Counts& row : expected.rows) {
      for (const Affinity affinity : {Affinity::high, Affinity::low}) {
        SCOPED_TRACE(fmt::format("{} {}x{} {}", expected.model, row.nodes, row.gpus, affinity == Affinity::high ? "high" : "low"));
        const SearchOptions options{.model = expected.model, .nodes = row.nodes, .gpus_per_node = row.gpus, .affinity = affinity};
        auto search = Search::make(options, one_request());
        ASSERT_TRUE(search.ok());
        while (search->step()) {}
        EXPECT_EQ(search->enumerated(), affinity == Affinity::high ? row.high : row.low);
        EXPECT_EQ(search->looked_at(), search->enumerated());
        EXPECT_EQ(search->measured().size(), affinity == Affinity::high ? row.high_runnable : row.low_runnable);
        EXPECT_EQ(search->best().has_value(), !search->measured().empty());
      }
    }
  }
}

TEST(DistServeSearch, splits_the_gpus_in_the_authors_order) {
  const auto found = enumerate(model("opt-13b"), Engine::distserve, 1, 3, Affinity::low);
  EXPECT_THAT(found, ElementsAre(Candidate{1, {1, 1}, {1, 1}}, Candidate{1, {1, 1}, {1, 2}}, Candidate{1, {1, 1}, {2, 1}},
                                 Candidate{1, {1, 2}, {1, 1}}, Candidate{1, {2, 1}, {1, 1}}));
}

TEST(DistServeSearch, lets_a_pair_span_nodes_only_stage_by_stage_where_affinity_is_low) {
  EXPECT_THAT(enumerate(model("opt-66b"), Engine::distserve, 2, 2, Affinity::low),
              ElementsAre(Candidate{1, {1, 1}, {1, 1}}, Candidate{2, {1, 1}, {1, 1}}));
  EXPECT_EQ(enumerate(model("opt-66b"), Engine::distserve, 2, 2, Affinity::high).size(), 11u);
  EXPECT_EQ((Candidate{2, {1, 1}, {1, 2}}.gpus()), 6u);
}

TEST(DistServeSearch, gives_all_gpus_of_the_cluster_to_one_instance_of_vllm) {
  EXPECT_THAT(enumerate(model("opt-13b"), Engine::vllm, 2, 2, Affinity::low),
              ElementsAre(Candidate{1, {1, 1}, {0, 0}}, Candidate{1, {1, 2}, {0, 0}}, Candidate{1, {1, 4}, {0, 0}},
                          Candidate{1, {2, 1}, {0, 0}}, Candidate{1, {2, 2}, {0, 0}}, Candidate{1, {4, 1}, {0, 0}}));
}

TEST(DistServeSearch, finds_no_candidate_on_a_single_gpu) {
  auto search = Search::make({.model = "opt-13b", .gpus_per_node = 1}, one_request());
  EXPECT_FALSE(search->step());
  EXPECT_EQ(search->best(), std::nullopt);
}

TEST(DistServeSearch, bisects_up_to_the_last_interval_of_the_given_width) {
  auto search = Search::make({.model = "opt-13b", .gpus_per_node = 2}, one_request());
  ASSERT_TRUE(search->step());
  EXPECT_EQ(shown(search->measured()[0]), "11111 4.84375");        // every probe holds: 2.5, 3.75, 4.375, 4.6875, 4.84375
  auto strict = Search::make({.model = "opt-13b", .gpus_per_node = 2, .slo = {.ttft_ms = 1}}, one_request());
  ASSERT_TRUE(strict->step());
  EXPECT_EQ(shown(strict->measured()[0]), "11111 0");
}

TEST(DistServeSearch, demands_latencies_below_the_limits_not_at_them) {
  const Deployment pair = deployment("opt-13b", Engine::distserve, {1, 1}, {1, 1});
  const Latency alone = run(pair, {{{128, 4}}, {0}})[0];
  const auto rate = [](double ttft_ms, double tpot_ms) {
    auto search = Search::make({.model = "opt-13b", .gpus_per_node = 2, .slo = {ttft_ms, tpot_ms}}, one_request());
    search->step();
    return search->measured()[0].rate_per_gpu;
  };
  EXPECT_EQ(rate(alone.ttft, 1e9), 0);
  EXPECT_EQ(rate(1e9, alone.tpot(4)), 0);
  EXPECT_GT(rate(alone.ttft + 1e-9, alone.tpot(4) + 1e-9), 0);
}

TEST(DistServeSearch, prefers_fewer_gpus_among_equal_rates) {
  auto search = Search::make({.model = "opt-13b", .gpus_per_node = 4}, one_request());
  while (search->step()) {}
  EXPECT_EQ(shown(*search->best()), "11111 4.84375");
}

TEST(DistServeSearch, leaves_out_instances_that_a_prompt_does_not_fit) {
  Workload workload = one_request();
  workload.requests[0].prompt = 20000;     // 66B on two GPUs holds 11600
  auto search = Search::make({.model = "opt-66b", .gpus_per_node = 8}, workload);
  while (search->step()) {}
  for (const Measured& measured : search->measured()) EXPECT_NE(measured.candidate.prefill, (Parallelism{2, 1}));
  EXPECT_FALSE(search->measured().empty());
}

TEST(DistServeSearch, refuses_options_that_have_no_answer) {
  const auto refusal = [](SearchOptions options) {
    const auto made = Search::make(options, one_request());
    return made.ok() ? std::string("accepted") : made.error().message;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  EXPECT_THAT(refusal({.model = "opt-31b"}), HasSubstr("did you mean \"opt-13b\"?"));
  EXPECT_THAT(refusal({.model = "opt-13b", .nodes = 0}), HasSubstr("0 nodes of 4 GPUs are no cluster"));
  EXPECT_THAT(refusal({.model = "opt-13b", .gpus_per_node = 0}), HasSubstr("no cluster"));
  EXPECT_THAT(refusal({.model = "opt-13b", .nodes = 4000000000, .gpus_per_node = 4000000000}), HasSubstr("no cluster"));
  EXPECT_THAT(refusal({.model = "opt-13b", .slo = {.ttft_ms = 0}}), HasSubstr("--ttft-ms must be above 0"));
  EXPECT_THAT(refusal({.model = "opt-13b", .slo = {.tpot_ms = -1}}), HasSubstr("--tpot-ms must be above 0"));
  EXPECT_THAT(refusal({.model = "opt-13b", .slo = {.ttft_percentile = 101}}), HasSubstr("--ttft-percentile"));
  EXPECT_THAT(refusal({.model = "opt-13b", .slo = {.tpot_percentile = nan}}), HasSubstr("--tpot-percentile"));
  for (const double rate : {0.0, -1.0, nan, infinity}) {
    EXPECT_THAT(refusal({.model = "opt-13b", .max_per_gpu_rate = rate}), HasSubstr("--max-per-gpu-rate must be above 0"));
  }
  for (const double rate : {1e-300, 1e300}) {
    EXPECT_THAT(refusal({.model = "opt-13b", .max_per_gpu_rate = rate}), HasSubstr("--max-per-gpu-rate must be from 1e-06 to 1"));
  }
  for (const double esp : {0.0, -1.0, 5.0, 6.0, nan}) {
    EXPECT_THAT(refusal({.model = "opt-13b", .esp = esp}), HasSubstr("--esp must be above 0 and below --max-per-gpu-rate 5"));
  }
  EXPECT_EQ(refusal({.model = "opt-13b", .esp = 1e-300}), "--esp 1e-300 takes over 48 probes: give a larger one");
}

TEST(Quantile, interpolates_between_the_two_nearest_ranks) {
  std::vector<double> values{4, 1, 3, 2};
  EXPECT_EQ(sim::quantile(values, 0), 1);
  EXPECT_EQ(sim::quantile(values, 0.5), 2.5);
  EXPECT_EQ(sim::quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(sim::quantile(values, 0.9), 3.7);
  std::vector<double> one{7}, none;
  EXPECT_EQ(sim::quantile(one, 0.9), 7);
  EXPECT_TRUE(std::isnan(sim::quantile(none, 0.9)));
}

}  // namespace
}  // namespace baton::test::distserve
