// What `baton plan` was asked for, and the ways it can go. Each way is a file of its own (plan_*.cc) that reads the flags it knows,
// writes what was asked for and returns an exit status.
#pragma once

#include <cstdint>
#include <string>

namespace baton::cli {

struct PlanFlags {
  std::string compat;              // distserve, distserve-vllm
  std::string model;               // opt-13b, opt-66b, opt-175b
  std::uint32_t nodes = 1;
  std::uint32_t gpus_per_node = 4;
  std::string affinity = "low";    // high: an instance may span nodes
  double ttft_ms = 200;
  double tpot_ms = 100;
  double ttft_percentile = 90;     // of requests that must meet the limit
  double tpot_percentile = 90;
  double max_per_gpu_rate = 5;     // requests a second
  double esp = 0.25;               // width at which a bisection of the rate ends
  std::string workload;            // a file as runtime/sim/compat/distserve_workload.h has it
  std::string json;                // where the result goes as JSON, besides the text on stdout; empty: nowhere
};

int plan_distserve(const PlanFlags& flags);

}  // namespace baton::cli
