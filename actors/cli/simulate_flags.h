// What `baton simulate` was asked for, and the ways it can go. Each way is a file of its own (simulate_*.cc) that reads the flags it
// knows, writes what was asked for and returns an exit status.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/base/result.h"

namespace baton::cli {

struct SimulateFlags {
  std::string compat;              // distserve, distserve-vllm, splitwise; empty: production's cores
  std::string trace;               // a file in one of the formats of runtime/sim/trace.h
  std::string requests;            // where the CSV of requests goes; empty: nowhere
  std::string json;                // where the JSON summary goes; empty: text on stdout
  std::string model;               // opt-13b, opt-66b, bloom-176b, llama2-70b
  // distserve: "tp=2,pp=1"; production's cores: "4" or "4,tp=2,pp=1"
  std::string prefill;
  std::string decode;
  std::string mixed;
  // production's cores
  std::string profile;             // as runtime/sim/instance_profile.h has them
  std::string workload;            // in place of a trace, as runtime/sim/workload.h has it
  std::optional<double> rate;      // requests a second; nothing: the workload's own
  std::uint64_t count = 1000;      // requests
  std::uint64_t seed = 1;          // of the workload and of routing's draws
  std::string routing = "jsq";
  std::string hand_off = "pull";
  std::uint32_t chunk_tokens = 512;    // of one prompt in one step; 0: whole prompts
  double link_gbit_per_s = 200;    // of an instance, each way
  double link_latency_us = 10;
  double control_latency_us = 50;
  std::optional<double> ttft_ms;   // SLOs; nothing: no limit
  std::optional<double> tpot_ms;
  // splitwise: machines as GPU:COUNT, several with commas
  std::string start_state;         // baseline, orca, splitwise, splitwise_hhcap
  std::string prompt;
  std::string token;
  std::string machines;
  std::string scheduler;
  std::string slo;                 // splitwise: adds the nine slowdowns
  // cache only
  bool cache_only = false;
  std::string policy = "lru";
  std::uint64_t capacity_blocks = 0;   // 0: no bound
};

int simulate_cluster(const SimulateFlags& flags);
int simulate_distserve(const SimulateFlags& flags);
int simulate_splitwise(const SimulateFlags& flags);
int simulate_cache(const SimulateFlags& flags);

// The whole text into a new file; what is there already is replaced. Errors: io_error.
Status write_text(const std::string& path, const std::string& text);

}  // namespace baton::cli
