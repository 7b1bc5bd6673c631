// Every request of the authors' own runs, and their searches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/sim/compat/distserve_helpers.h"

namespace baton::test::distserve {
namespace {

using ::testing::ElementsAre;

constexpr double kGoldenToleranceMs = 1e-6;

struct GoldenRun {
  const char* name;
  const char* trace;
  const char* model;
  Engine engine;
  Parallelism prefill, decode;
};
void PrintTo(const GoldenRun& run, std::ostream* out) { *out << run.name; }

class DistServeGolden : public ::testing::TestWithParam<GoldenRun> {};

TEST_P(DistServeGolden, has_every_latency_of_the_authors_run) {
  SKIP_WITHOUT_GOLDEN_DISTSERVE();
  const auto& [name, file, model, engine, prefill, decode] = GetParam();
  const Timeline timeline = trace(golden(file));
  const auto latencies = run(deployment(model, engine, prefill, decode), timeline);
  const auto rows = golden_rows(std::string(name) + ".csv");
  ASSERT_EQ(rows.size(), latencies.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].size(), 4u);
    EXPECT_NEAR(latencies[i].ttft, rows[i][0], kGoldenToleranceMs) << i;
    EXPECT_NEAR(latencies[i].decode, rows[i][1], kGoldenToleranceMs) << i;
    EXPECT_NEAR(latencies[i].e2e, rows[i][2], kGoldenToleranceMs) << i;
    EXPECT_NEAR(latencies[i].tpot(timeline.requests[i].output), rows[i][3], kGoldenToleranceMs) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, DistServeGolden,
                         ::testing::Values(GoldenRun{"trace5_A", "trace5.json", "opt-13b", Engine::distserve, {1, 1}, {1, 1}},
                                           GoldenRun{"trace5_B", "trace5.json", "opt-13b", Engine::distserve, {2, 2}, {1, 2}},
                                           GoldenRun{"lcg200_a", "lcg200_r3.json", "opt-13b", Engine::distserve, {1, 1}, {1, 1}},
                                           GoldenRun{"lcg200_b", "lcg200_r6.json", "opt-13b", Engine::distserve, {2, 1}, {1, 1}},
                                           GoldenRun{"lcg200_d", "lcg200_r1.json", "opt-66b", Engine::distserve, {4, 1}, {2, 2}},
                                           GoldenRun{"lcg200_g", "lcg200_r1.json", "opt-13b", Engine::vllm, {1, 1}, {1, 1}},
                                           GoldenRun{"lcg200_h", "lcg200_r1.json", "opt-66b", Engine::vllm, {4, 1}, {4, 1}}),
                         [](const auto& info) { return std::string(info.param.name); });

Search finished_search(const std::string& model, Engine engine, std::uint32_t gpus, double ttft_ms, double tpot_ms) {
  auto workload = load_workload(golden("search_requests_n300.json"));
  CHECK(workload.ok(), "{}", workload.error().message);
  auto search = Search::make({.model = model, .engine = engine, .gpus_per_node = gpus, .slo = {ttft_ms, tpot_ms}}, *workload);
  CHECK(search.ok(), "{}", search.error().message);
  while (search->step()) {}
  return std::move(search).value();
}

TEST(DistServeGoldenSearch, finds_the_authors_rates_of_13b_on_four_gpus) {
  SKIP_WITHOUT_GOLDEN_DISTSERVE();
  const Search strict = finished_search("opt-13b", Engine::distserve, 4, 200, 100);
  EXPECT_THAT(shown(strict.measured()), ElementsAre("11111 0.9375", "11112 0.625", "11121 0.625", "11211 1.25", "11212 0.9375",
                                                    "11221 0.9375", "12111 1.5625", "12112 1.25", "12121 1.25"));
  EXPECT_EQ(shown(*strict.best()), "12111 1.5625");
  const Search lenient = finished_search("opt-13b", Engine::distserve, 4, 250, 100);
  EXPECT_THAT(shown(lenient.measured()), ElementsAre("11111 1.25", "11112 0.78125", "11121 0.78125", "11211 2.03125", "11212 1.5625",
                                                     "11221 1.5625", "12111 2.1875", "12112 1.71875", "12121 1.71875"));
  EXPECT_EQ(shown(*lenient.best()), "12111 2.1875");
}

TEST(DistServeGoldenSearch, finds_the_authors_rates_of_colocated_13b) {
  SKIP_WITHOUT_GOLDEN_DISTSERVE();
  const Search search = finished_search("opt-13b", Engine::vllm, 4, 250, 100);
  EXPECT_THAT(shown(search.measured()), ElementsAre("11 0.15625", "12 0.625", "14 0", "21 1.09375", "22 1.40625", "41 1.40625"));
  EXPECT_EQ(shown(*search.best()), "22 1.40625");
}

// Rates of the release's own search, run on the same requests.
TEST(DistServeGoldenSearch, finds_the_authors_rates_of_66b_on_eight_gpus) {
  SKIP_WITHOUT_GOLDEN_DISTSERVE();
  const Search search = finished_search("opt-66b", Engine::distserve, 8, 400, 100);
  EXPECT_THAT(shown(search.measured()),
              ElementsAre("12121 0", "12122 0", "12131 0", "12132 0", "12141 0", "12221 0", "12222 0", "12231 0", "12241 0",
                          "13121 0.15625", "13122 0.15625", "13131 0.15625", "13141 0.15625", "13221 0.3125", "14121 0.3125",
                          "14122 0.15625", "14131 0.15625", "14141 0.15625"));
  EXPECT_EQ(shown(*search.best()), "14121 0.3125");
  const Search one = finished_search("opt-66b", Engine::vllm, 8, 400, 100);
  EXPECT_THAT(shown(one.measured()), ElementsAre("21 0", "22 0", "24 0", "31 0", "32 0", "41 0", "42 0", "81 0.15625"));
}

}  // namespace
}  // namespace baton::test::distserve
