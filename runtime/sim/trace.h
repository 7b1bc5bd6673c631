// Requests to simulate, as a trace file lists them. The format is recognised from the file's first line:
//
//   Azure CSV          TIMESTAMP,ContextTokens,GeneratedTokens                   times of day; the first row arrives at 0
//   SplitwiseSim CSV   request_id,request_type,...,arrival_timestamp,...         seconds
//   Mooncake JSONL     {"timestamp", "input_length", "output_length", "hash_ids"}  milliseconds; hash ids name blocks of 512 tokens
//   DistServe JSON     [{"start_time", "prompt_len", "output_len"}, ...]         seconds
//
// Thread: none. Errors: io_error (the file), invalid_argument (file, line and what is wrong with it). Rows stay in file order,
// which must be the order of arrival.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace baton::sim {

struct TraceRequest {
  std::string id;                          // as the file has it; the row's number from 0 where it has none
  double arrival_s = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t output_tokens = 0;         // with the first
  std::vector<std::uint64_t> blocks;       // identity of each block of the prompt, where the trace knows it
};
using Trace = std::vector<TraceRequest>;

Result<Trace> load_trace(const std::string& path);
Result<Trace> parse_trace(std::string_view text, const std::string& name);   // `name` stands for the file in errors

}  // namespace baton::sim
