// Workload files: what they say, and what is said when they are wrong.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "runtime/sim/workload.h"

namespace baton::sim {
namespace {

TEST(WorkloadFile, is_read_key_by_key) {
  const auto read = parse_workload(
      "source: nobody\nrate: 2.5\narrivals: {process: on_off, on_s: 3, off_s: 0.5}\n"
      "lengths:\n  prompt: {lognormal: {median: 400, sigma: 1.5, least: 4, most: 2000}}\n  output: {constant: 7}\n"
      "  most_total: 2047\n  over_total: shorten_prompt\n",
      "dir/mine.yaml", "dir");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->name, "mine");
  EXPECT_EQ(read->source, "nobody");
  EXPECT_EQ(read->rate, 2.5);
  EXPECT_EQ(read->arrivals.process, Arrivals::Process::on_off);
  EXPECT_EQ(read->arrivals.on_s, 3);
  EXPECT_EQ(read->arrivals.off_s, 0.5);
  EXPECT_EQ(read->lengths.prompt.kind, LengthDistribution::Kind::lognormal);
  EXPECT_EQ(read->lengths.prompt.median, 400);
  EXPECT_EQ(read->lengths.prompt.sigma, 1.5);
  EXPECT_EQ(read->lengths.prompt.least, 4u);
  EXPECT_EQ(read->lengths.prompt.most, 2000u);
  EXPECT_EQ(read->lengths.output.least, 7u);
  EXPECT_EQ(read->lengths.output.most, 7u);
  EXPECT_EQ(read->lengths.most_total, 2047u);
  EXPECT_EQ(read->lengths.over_total, Lengths::OverTotal::shorten_prompt);
}

TEST(WorkloadFile, takes_lengths_from_a_trace_beside_it) {
  const std::string folder = ::testing::TempDir() + "/";
  std::ofstream(folder + "baton_lengths.json") << "[{\"start_time\": 0, \"prompt_len\": 5, \"output_len\": 6}]";
  std::ofstream(folder + "baton_workload.yaml") << "lengths: {from_trace: baton_lengths.json}\n";
  const auto read = load_workload(folder + "baton_workload.yaml");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->lengths.observed, (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{5, 6}}));
  std::remove((folder + "baton_lengths.json").c_str());
  const auto without = load_workload(folder + "baton_workload.yaml");
  ASSERT_FALSE(without.ok());
  EXPECT_TRUE(without.error().message.ends_with("baton_lengths.json: cannot open: No such file or directory")) << without.error().message;
  std::remove((folder + "baton_workload.yaml").c_str());
}

TEST(WorkloadFile, that_is_wrong_is_refused_with_line_and_key) {
  const std::string lengths = "lengths: {prompt: {constant: 1}, output: {constant: 1}}\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "w.yaml: must be a mapping; configs/workloads/ has examples"},
      {"[1]", "w.yaml:1: must be a mapping; configs/workloads/ has examples"},
      {"a: [", "w.yaml:1: not YAML: "},
      {"rate: 1\n", "w.yaml:1: lengths: or sessions, one of the two, says how long requests are"},
      {lengths + "sesions: 1\n", "w.yaml:2: sesions: unknown key; did you mean \"sessions\"?"},
      {lengths + "rate: 0\n", "w.yaml:2: rate: must be a number from 1e-06 to 1000000000, not \"0\""},
      {lengths + "rate: nan\n", "w.yaml:2: rate: must be a number from "},
      {lengths + "arrivals: {process: poison}\n",
       "w.yaml:2: arrivals.process: must be one of poisson, gamma, on_off, fixed, closed_loop, not \"poison\"; did you mean \"poisson\"?"},
      {lengths + "arrivals: {process: poisson, cv: 2}\n", "w.yaml:2: arrivals.cv: is for gamma arrivals"},
      {lengths + "arrivals: {process: gamma, cv: 0}\n", "w.yaml:2: arrivals.cv: must be a number from 0.01 to 100, not \"0\""},
      {"lengths: {prompt: {constant: 1}}\n", "w.yaml:1: lengths.output: must be one of {constant: N}, "},
      {"lengths: {prompt: {constant: 1, uniform: [1, 2]}, output: {constant: 1}}\n",
       "w.yaml:1: lengths.prompt: must be one of {constant: N}, "},
      {"lengths: {prompt: {constant: 0}, output: {constant: 1}}\n",
       "w.yaml:1: lengths.prompt.constant: must be a whole number from 1 to 10000000, not \"0\""},
      {"lengths: {prompt: {uniform: [5, 4]}, output: {constant: 1}}\n", "w.yaml:1: lengths.prompt.uniform: must be the least and the most"},
      {"lengths: {prompt: {uniform: [0, 4]}, output: {constant: 1}}\n", "w.yaml:1: lengths.prompt.uniform: must be the least and the most"},
      {"lengths:\n  prompt: {quantiles: [[0, 5], [0.5, 4], [1, 9]]}\n  output: {constant: 1}\n",
       "w.yaml:2: lengths.prompt.quantiles: must list [share, tokens], both ascending, the first share 0 and the last 1"},
      {"lengths: {prompt: {quantiles: [[0, 5], [0.5, 9]]}, output: {constant: 1}}\n", "w.yaml:1: lengths.prompt.quantiles: must list "},
      {"lengths: {prompt: {quantiles: [[0, 5], [1, x]]}, output: {constant: 1}}\n", "w.yaml:1: lengths.prompt.quantiles: must list "},
      {"lengths: {prompt: {lognormal: {median: 4}}, output: {constant: 1}}\n",
       "w.yaml:1: lengths.prompt.lognormal: needs a median and a sigma"},
      {"lengths: {prompt: {lognormal: 4}, output: {constant: 1}}\n", "w.yaml:1: lengths.prompt.lognormal: must be a mapping"},
      {"lengths: {prompt: {constant: 1}, output: {constant: 1}, over_total: draw_again}\n",
       "w.yaml:1: lengths.over_total: says what happens above most_total, which is not there"},
      {"lengths: {from_trace: no.csv}\n", "w.yaml:1: lengths.from_trace: no.csv: cannot open: No such file or directory"},
      {"sessions: {kinds: []}\n", "w.yaml:1: sessions.kinds: must list kinds of sessions, at least one"},
      {"sessions: {kinds: [{first: {constant: 1}, output: {constant: 1}, turns: 2}]}\n",
       "w.yaml:1: sessions.kinds[0].later: must be one of "},
      {"sessions: {kinds: [{first: {constant: 1}, output: {constant: 1}, turns: 0.5}]}\n",
       "w.yaml:1: sessions.kinds[0].turns: must be a number from 1 "},
      {"sessions: {kinds: [{first: {constant: 1}, output: {constant: 1}}]}\narrivals: {process: closed_loop}\n",
       "w.yaml:2: arrivals: closed_loop has no times, which sessions need; choose another process"},
  };
  for (const auto& [text, message] : cases) {
    const auto read = parse_workload(text, "w.yaml", "");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().message.substr(0, message.size()), message) << text;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_config);
  }
}

TEST(WorkloadFile, that_nobody_has_is_refused_by_the_nearest_name) {
  EXPECT_EQ(load_workload("sharegtp").error().message,
            "no workload is named \"sharegtp\"; did you mean \"sharegpt\"?; or name a file of your own");
  EXPECT_EQ(load_workload("./none.yaml").error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace baton::sim
