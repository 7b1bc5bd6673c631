// What the tests of the SplitwiseSim model share: clusters and traces made by hand, and the authors' runs under BATON_SHARED.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/sim/compat/splitwise_simulation.h"

namespace baton::test::splitwise {

struct Asked {
  double arrival_s;
  std::uint32_t prompt_tokens;
  std::uint32_t output_tokens;
};
sim::Trace trace_of(const std::vector<Asked>& requests);   // ids "0", "1", ...

// Ends the test program by a CHECK when it is refused.
sim::splitwise::Cluster cluster_of(const sim::splitwise::ClusterWords& words);
sim::splitwise::Outcome run_of(const sim::splitwise::Cluster& cluster, const sim::Trace& trace);

// "h100-80gb_0 h100-80gb_2": where a request's prompt and tokens ran.
std::string places(const sim::splitwise::Cluster& cluster, const sim::splitwise::Served& served);

// Empty when the authors' runs are there, else why they are not.
std::string why_no_golden_splitwise();
std::string golden_splitwise(const std::string& file);     // the path of golden/splitwise/FILE
std::string text_of(const std::string& path);

// The rows of a CSV file, each by the names in its first line.
using CsvRow = std::map<std::string, std::string>;
std::vector<CsvRow> csv_rows(const std::string& path);

// The cluster that a run's command.txt describes in the source's words, and its trace.
struct GoldenRun {
  sim::splitwise::ClusterWords words;
  std::string trace;                                       // path
};
GoldenRun golden_run(const std::string& name);

}  // namespace baton::test::splitwise

#define SKIP_WITHOUT_GOLDEN_SPLITWISE()                                                                \
  if (const std::string why = ::baton::test::splitwise::why_no_golden_splitwise(); !why.empty()) GTEST_SKIP() << why
