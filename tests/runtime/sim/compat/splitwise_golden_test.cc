// Against runs of the authors' own simulator, and against its table of six clusters of equal power.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include <spdlog/fmt/fmt.h>

#include "runtime/sim/compat/splitwise_report.h"
#include "tests/runtime/sim/compat/splitwise_helpers.h"

namespace baton::test::splitwise {
namespace {

using namespace sim::splitwise;

double number(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

// Request ids stand there as floats.
std::string id_of(const std::string& text) { return std::to_string(static_cast<long>(number(text))); }

class GoldenSplitwise : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenSplitwise, has_every_time_to_the_last_bit_and_every_machine) {
  SKIP_WITHOUT_GOLDEN_SPLITWISE();
  const GoldenRun golden = golden_run(GetParam());
  const auto trace = sim::load_trace(golden.trace);
  ASSERT_TRUE(trace.ok()) << trace.error().message;
  const Cluster cluster = cluster_of(golden.words);
  const Outcome run = run_of(cluster, *trace);

  std::map<std::string, std::string> prompt_machine;
  std::map<std::string, std::string> token_machine;
  for (const CsvRow& row : csv_rows(golden_splitwise(GetParam() + std::string{"/request_nodes.csv"}))) {
    if (row.at("node_type") == "PROMPT") prompt_machine[id_of(row.at("request_id"))] = row.at("runner");
    if (row.at("node_type") == "TOKEN") token_machine[id_of(row.at("request_id"))] = row.at("runner");
  }
  const auto rows = csv_rows(golden_splitwise(GetParam() + std::string{"/detailed.csv"}));   // sorted by id, as the trace is
  ASSERT_EQ(rows.size(), trace->size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Served& served = run.requests[i];
    const std::string& id = (*trace)[i].id;
    ASSERT_EQ(id_of(rows[i].at("request_ids")), id);
    ASSERT_TRUE(served.completed) << "request " << id;
    EXPECT_EQ(served.ttft_s, number(rows[i].at("ttft_times"))) << "request " << id;
    EXPECT_EQ(served.e2e_s, number(rows[i].at("response_times"))) << "request " << id;
    EXPECT_EQ((served.e2e_s - served.ttft_s) / (*trace)[i].output_tokens, number(rows[i].at("tbt_times"))) << "request " << id;
    EXPECT_EQ(places(cluster, served), prompt_machine[id] + " " + token_machine[id]) << "request " << id;
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, GoldenSplitwise,
                         ::testing::Values("code_base_h100x2_token_jsq", "code_hh_2p1t_mixed", "conv_base_h100x2_rr",
                                           "conv_base_h100x2_token_jsq", "conv_ha_2p2t_mixed", "conv_hh_2p1t_kvjsq",
                                           "conv_hh_2p1t_kvrr", "conv_hh_2p1t_mixed", "conv_orca_h100x2_rr"),
                         [](const auto& instance) { return std::string{instance.param}; });

const std::map<std::string, ClusterWords> kEqualPower = {
    {"Baseline-A100 (70)", {"bloom-176b", "baseline", "token_jsq", "", "", "a100-80gb:70"}},
    {"Baseline-H100 (40)", {"bloom-176b", "baseline", "token_jsq", "", "", "h100-80gb:40"}},
    {"Splitwise-AA (45P,25T)", {"bloom-176b", "splitwise", "mixed_pool", "a100-80gb:45", "a100-80gb:25", ""}},
    {"Splitwise-HH (25P,15T)", {"bloom-176b", "splitwise", "mixed_pool", "h100-80gb:25", "h100-80gb:15", ""}},
    {"Splitwise-HHcap (25P,21T)", {"bloom-176b", "splitwise_hhcap", "mixed_pool", "h100-80gb:25", "h100-80gb-pcap:21", ""}},
    {"Splitwise-HA (25P,26T)", {"bloom-176b", "splitwise", "mixed_pool", "h100-80gb:25", "a100-80gb:26", ""}},
};

// The cells of "| a | b |", without the blanks around them.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream parts(line);
  for (std::string part; std::getline(parts, part, '|');) {
    const auto first = part.find_first_not_of(' ');
    if (first != std::string::npos) cells.push_back(part.substr(first, part.find_last_not_of(' ') - first + 1));
  }
  return cells;
}

std::string printed(const Quantiles& q) { return fmt::format("{:.3f}/{:.3f}/{:.3f}", q.p50, q.p90, q.p99); }

TEST(GoldenSplitwiseIsoPower, gives_every_percentile_and_verdict_of_the_table) {
  SKIP_WITHOUT_GOLDEN_SPLITWISE();
  std::istringstream lines(text_of(golden_splitwise("iso_power/README.md")));
  std::size_t rows = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto cells = cells_of(line);
    if (cells.size() != 6 || !kEqualPower.contains(cells[0])) continue;
    ++rows;
    SCOPED_TRACE(line);
    const auto trace = sim::load_trace(golden_splitwise("iso_power/rr_conv_" + cells[1] + "_2min.csv"));
    ASSERT_TRUE(trace.ok()) << trace.error().message;
    const Cluster cluster = cluster_of(kEqualPower.at(cells[0]));
    const Summary summary = summarise(cluster, *trace, run_of(cluster, *trace), true);
    EXPECT_EQ(printed(summary.slowdowns->ttft), cells[2]);
    EXPECT_EQ(printed(summary.slowdowns->tbt), cells[3]);
    EXPECT_EQ(printed(summary.slowdowns->e2e), cells[4]);
    EXPECT_EQ(summary.slowdowns->all_nine ? "yes" : "no", cells[5]);
  }
  EXPECT_EQ(rows, 13u);
}

}  // namespace
}  // namespace baton::test::splitwise
