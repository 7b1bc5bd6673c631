// Requests to simulate, as a trace file lists them. The format is recognised from the file's first line, columns and keys by name:
//
//   Azure CSV          TIMESTAMP,ContextTokens,GeneratedTokens                   times of day; the first row arrives at 0
//   SplitwiseSim CSV   request_id,request_type,...,arrival_timestamp,...         seconds
//   Mooncake JSONL     {"timestamp", "input_length", "output_length", "hash_ids"}  milliseconds; hash ids name blocks of 512 tokens
//   DistServe JSON     [{"start_time", "prompt_len", "output_len"}, ...]         seconds
//
// Lines may end in CR LF, blank ones and unknown columns or keys are passed over. A time of day has up to nine digits of fraction
// and may name its zone (Z, +00:00).
//
// Thread: none. Errors: not_found and io_error (the file), invalid_argument (file, line and what is wrong with it). Rows stay in
// file order, which must be the order of arrival. Sources: the data releases of Azure (Splitwise ISCA'24, DynamoLLM HPCA'25),
// SplitwiseSim, Mooncake FAST'25 and DistServe OSDI'24.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace baton::sim {

inline constexpr std::uint32_t kTraceBlockTokens = 512;
inline constexpr std::uint32_t kMostTraceTokens = 1'000'000'000;      // of a prompt or an output; a sum of two fits 32 bits
inline constexpr double kLatestTraceTime = 9e9;                        // seconds; fits an Instant, and so does a time since 1970

struct TraceRequest {
  std::string id;                          // as the file has it; the row's number from 0 where it has none
  double arrival_s = 0;
  std::uint32_t prompt_tokens = 0;         // at least 1
  std::uint32_t output_tokens = 0;         // with the first
  std::vector<std::uint64_t> blocks;       // identity of each block of the prompt, where the trace knows it
  bool operator==(const TraceRequest&) const = default;
};
using Trace = std::vector<TraceRequest>;

Result<Trace> load_trace(const std::string& path);
Result<Trace> parse_trace(std::string_view text, const std::string& name);   // `name` stands for the file in errors

// As Mooncake JSONL, which parse_trace reads back to the same arrivals, lengths and blocks; ids become row numbers.
std::string to_mooncake_jsonl(const Trace& trace);

}  // namespace baton::sim
