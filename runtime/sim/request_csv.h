// What a simulation says of each request, and the CSV of it: one row a request in trace order, every number printed so that it
// reads back to the same double.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace baton::sim {

struct RequestRecord {
  std::string id;
  double arrival_s = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t output_tokens = 0;
  double ttft_ms = 0;
  double tpot_ms = 0;
  double e2e_ms = 0;
  std::string prefill_instance;
  std::string decode_instance;
  std::string outcome;                     // "completed", or why not
};

// Header and rows: request_id,arrival_s,prompt_tokens,output_tokens,ttft_ms,tpot_ms,e2e_ms,prefill_instance,decode_instance,outcome
std::string to_csv(const std::vector<RequestRecord>& records);

// The shortest text that reads back to the same double.
std::string exact(double value);

}  // namespace baton::sim
