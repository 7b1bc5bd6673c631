#include "tests/runtime/sim/compat/distserve_helpers.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "runtime/sim/request_csv.h"
#include "runtime/sim/trace.h"

namespace baton::test::distserve {
namespace {

std::string shared_folder() {
  const char* value = std::getenv("BATON_SHARED");
  return value ? value : "";
}

}  // namespace

const Profile& profile() {
  static const Profile loaded = [] {
    auto read = load_profile();
    CHECK(read.ok(), "{}", read.error().message);
    return std::move(read).value();
  }();
  return loaded;
}

const Model& model(const std::string& name) {
  const auto found = profile().find(name);
  CHECK(found.ok(), "{}", found.error().message);
  return **found;
}

Deployment deployment(const std::string& name, Engine engine, Parallelism prefill, Parallelism decode) {
  const auto made = deploy(profile(), model(name), engine, prefill, decode);
  CHECK(made.ok(), "{}", made.error().message);
  return *made;
}

Timeline generated(double rate) {
  std::uint32_t state = 42;
  const auto draw = [&] {
    state = (1103515245u * state + 12345u) & 0x7fffffffu;
    return state >> 8;
  };
  Timeline timeline;
  for (int i = 0; i < 200; ++i) {
    const std::uint32_t prompt = 16 + draw() % 1500;
    timeline.requests.push_back({prompt, 4 + draw() % 300});
  }
  double at_s = 0, before_s = 0, at = 0;
  for (int i = 0; i < 200; ++i) {
    const double gap = -std::log(1 - (draw() + 0.5) / 8388608.0) / rate;
    if (i > 0) at_s += gap;
    const double written_s = std::round(at_s * 1e6) / 1e6;
    timeline.arrivals.push_back(at += (written_s - before_s) * 1000);
    before_s = written_s;
  }
  return timeline;
}

Timeline trace(const std::string& path) {
  const auto read = sim::load_trace(path);
  CHECK(read.ok(), "{}", read.error().message);
  Timeline timeline;
  for (const sim::TraceRequest& request : *read) {
    timeline.requests.push_back({request.prompt_tokens, request.output_tokens});
    timeline.arrivals.push_back((request.arrival_s - read->front().arrival_s) * 1000);
  }
  return timeline;
}

std::vector<Latency> run(const Deployment& deployment, const Timeline& timeline) {
  Simulator simulator(deployment);
  return simulator.run(timeline.requests, timeline.arrivals);
}

std::string why_no_golden() { return shared_folder().empty() ? "BATON_SHARED is not set" : ""; }

std::string golden(const std::string& file) { return shared_folder() + "/golden/distserve/" + file; }

std::vector<std::vector<double>> golden_rows(const std::string& file) {
  std::ifstream in(golden(file));
  CHECK(in.good(), "cannot read {}", golden(file));
  std::vector<std::vector<double>> rows;
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream cells(line);
    rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(std::stod(cell));
  }
  return rows;
}

std::string shown(const Measured& measured) {
  const auto& [pp_cross, prefill, decode] = measured.candidate;
  const bool one = decode.gpus() == 0;
  const std::string name = one ? fmt::format("{}{}", prefill.tp, prefill.pp)
                               : fmt::format("{}{}{}{}{}", pp_cross, prefill.tp, prefill.pp, decode.tp, decode.pp);
  return name + " " + sim::exact(measured.rate_per_gpu);
}

std::vector<std::string> shown(const std::vector<Measured>& measured) {
  std::vector<std::string> all;
  for (const Measured& one : measured) all.push_back(shown(one));
  return all;
}

}  // namespace baton::test::distserve
