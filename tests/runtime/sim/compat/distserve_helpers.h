// What the tests of DistServe's model share: deployments by name, the 200 requests of the facts, and the authors' runs under BATON_SHARED.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/sim/compat/distserve_search.h"

namespace baton::test::distserve {

using namespace baton::sim::distserve;

// The three end the test program by a CHECK when they are refused.
const Profile& profile();
const Model& model(const std::string& name);
Deployment deployment(const std::string& name, Engine engine, Parallelism prefill, Parallelism decode);

struct Timeline {
  std::vector<Lengths> requests;
  std::vector<double> arrivals;            // milliseconds
};
// 200 requests of a linear congruential generator with exponential gaps: those of the authors' runs a to h.
Timeline generated(double rate);
Timeline trace(const std::string& path);

std::vector<Latency> run(const Deployment& deployment, const Timeline& timeline);

// Empty when the authors' runs are there, else why they are not.
std::string why_no_golden();
std::string golden(const std::string& file);               // the path of golden/distserve/FILE
std::vector<std::vector<double>> golden_rows(const std::string& file);     // of a CSV, without its header

// "12111 1.5625": pp_cross, then tp and pp of prefill and decode; vllm: tp and pp.
std::string shown(const Measured& measured);
std::vector<std::string> shown(const std::vector<Measured>& measured);

}  // namespace baton::test::distserve

#define SKIP_WITHOUT_GOLDEN_DISTSERVE()                                                                \
  if (const std::string why = ::baton::test::distserve::why_no_golden(); !why.empty()) GTEST_SKIP() << why
