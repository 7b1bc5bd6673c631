// What `baton simulate` was asked for, and the ways it can go. Each way is a file of its own (simulate_*.cc) that reads the flags it
// knows, writes what was asked for and returns an exit status.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/result.h"

namespace baton::cli {

struct SimulateFlags {
  std::string compat;              // distserve, distserve-vllm, splitwise; empty: production's cores
  std::string trace;               // a file in one of the formats of runtime/sim/trace.h
  std::string requests;            // where the CSV of requests goes; empty: nowhere
  std::string json;                // where the JSON summary goes; empty: text on stdout
  std::string model;               // opt-13b, opt-66b, bloom-176b, llama2-70b
  // distserve: "tp=2,pp=1"
  std::string prefill;
  std::string decode;
  std::string mixed;
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

int simulate_distserve(const SimulateFlags& flags);
int simulate_splitwise(const SimulateFlags& flags);
int simulate_cache(const SimulateFlags& flags);

// The whole text into a new file; what is there already is replaced. Errors: io_error.
Status write_text(const std::string& path, const std::string& text);

}  // namespace baton::cli
