#include "tests/runtime/sim/compat/splitwise_helpers.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "runtime/base/check.h"

namespace baton::test::splitwise {
namespace {

std::string shared_folder() {
  const char* value = std::getenv("BATON_SHARED");
  return value ? value : "";
}

// The words key=value of a command line.
std::map<std::string, std::string> settings_of(const std::string& command) {
  std::map<std::string, std::string> settings;
  std::istringstream words(command);
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals != std::string::npos) settings[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return settings;
}

std::string machines(const std::string& gpu, const std::string& count) { return gpu + ":" + count; }

}  // namespace

sim::Trace trace_of(const std::vector<Asked>& requests) {
  sim::Trace trace;
  for (const Asked& asked : requests) {
    trace.push_back({std::to_string(trace.size()), asked.arrival_s, asked.prompt_tokens, asked.output_tokens, {}});
  }
  return trace;
}

sim::splitwise::Cluster cluster_of(const sim::splitwise::ClusterWords& words) {
  auto cluster = sim::splitwise::make_cluster(words);
  CHECK(cluster.ok(), "{}", cluster.error().message);
  return std::move(cluster).value();
}

sim::splitwise::Outcome run_of(const sim::splitwise::Cluster& cluster, const sim::Trace& trace) {
  auto run = sim::splitwise::simulate(cluster, trace);
  CHECK(run.ok(), "{}", run.error().message);
  return std::move(run).value();
}

std::string places(const sim::splitwise::Cluster& cluster, const sim::splitwise::Served& served) {
  return cluster.machines[served.prompt_machine].name + " " + cluster.machines[served.token_machine].name;
}

std::string why_no_golden_splitwise() { return shared_folder().empty() ? "BATON_SHARED is not set" : ""; }

std::string golden_splitwise(const std::string& file) { return shared_folder() + "/golden/splitwise/" + file; }

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.good(), "cannot read {}", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<CsvRow> csv_rows(const std::string& path) {
  std::istringstream lines(text_of(path));
  std::vector<std::string> names;
  std::vector<CsvRow> rows;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    std::vector<std::string> values;
    for (std::string cell; std::getline(cells, cell, ',');) values.push_back(cell);
    if (names.empty()) {
      names = values;
      continue;
    }
    CHECK(values.size() == names.size(), "{}: {}", path, line);
    CsvRow& row = rows.emplace_back();
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = values[i];
  }
  return rows;
}

GoldenRun golden_run(const std::string& name) {
  auto settings = settings_of(text_of(golden_splitwise(name + "/command.txt")));
  CHECK(settings["cluster"] == "half_half", "{}: a cluster that this reader does not know", name);
  const std::string a100s = settings["cluster.servers.0.count"];
  const std::string h100s = settings["cluster.servers.1.count"];
  GoldenRun run;
  run.words.model = "bloom-176b";
  run.words.start_state = settings["start_state"];
  run.words.scheduler = settings["applications.0.scheduler"];
  if (run.words.start_state != "splitwise") {
    run.words.machines = machines("h100-80gb", h100s);
  } else if (settings["start_state.split_type"] == "heterogeneous") {
    run.words.prompt = machines("h100-80gb", h100s);
    run.words.token = machines("a100-80gb", a100s);
  } else {
    run.words.prompt = machines("h100-80gb", settings["start_state.prompt.num_instances"]);
    run.words.token = machines("h100-80gb", settings["start_state.token.num_instances"]);
  }
  const std::string trace = settings["trace"];
  run.trace = golden_splitwise(trace.substr(trace.rfind('/') + 1));
  return run;
}

}  // namespace baton::test::splitwise
