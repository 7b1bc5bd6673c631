// A workload: how requests arrive and how long they are, as a YAML file of configs/workloads/ describes it, and the trace that comes of it.
//
//   source: where the numbers are from                       rate: 2.567          requests a second, unless asked for another
//   arrivals: {process: poisson}                             gamma (cv), on_off (on_s, off_s), fixed, closed_loop (clients, think_s)
//   lengths: {prompt: D, output: D, most_total: 2047}        or {from_trace: FILE}: pairs drawn from its requests
//   sessions: {block_tokens: 512, kinds: [...]}              instead of lengths: conversations whose turns share their prefix
//
//   D is one of {constant: 512}, {uniform: [1, 1000]}, {quantiles: [[0, 3], [0.5, 1469], [1, 7437]]} (linear between),
//   {lognormal: {median: 400, sigma: 1, least: 4, most: 2047}}
//
// A kind of session: {share: 0.4, system_tokens: 880, system_prompts: 1, zipf: 1, turns: 1.6, think_s: 120, first: D, later: D, output: D,
// most_prompt: 126195}. `share` is of the sessions, `turns` a mean. A turn's prompt is the one before it, its output and `later` more
// tokens; the first is the system prompt and `first` tokens; kinds with equally long system prompts have the same ones. A session
// ends early where the next prompt would exceed most_prompt.
//
// Thread: none. Errors: as of config files, with file, line and key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/sim/trace.h"

namespace baton::sim {

struct Arrivals {
  enum class Process : std::uint8_t { poisson, gamma, on_off, fixed, closed_loop };
  Process process = Process::poisson;
  double cv = 1;                           // gamma: standard deviation of the gaps over their mean
  double on_s = 10;                        // on_off: means of exponential durations; all requests fall into the on ones, at a
  double off_s = 10;                       //   rate higher by as much
  std::uint32_t clients = 1;               // closed_loop: so many requests at a time,
  double think_s = 0;                      //   the next one this long after the last one's end
};

struct LengthDistribution {
  enum class Kind : std::uint8_t { uniform, lognormal, quantiles };
  struct Quantile {
    double share = 0;                      // ascending from 0 to 1
    double tokens = 0;                     // ascending
  };
  Kind kind = Kind::uniform;
  std::uint32_t least = 1;                 // uniform between them, both included (constant: equal); others are cut there
  std::uint32_t most = kMostTraceTokens;
  double median = 1;                       // lognormal: of the uncut distribution
  double sigma = 0;                        //   of the logarithm
  std::vector<Quantile> table;
};

struct Lengths {
  enum class OverTotal : std::uint8_t { draw_again, shorten_prompt };
  LengthDistribution prompt, output;
  std::uint32_t most_total = 0;            // tokens of prompt and output together; 0: no bound
  OverTotal over_total = OverTotal::draw_again;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> observed;      // prompt and output of each request of a trace; instead of the rest
};

struct SessionKind {
  double share = 1;
  std::uint32_t system_tokens = 0;
  std::uint32_t system_prompts = 1;        // different ones; the k-th most popular has weight k^-zipf
  double zipf = 1;
  double turns = 1;                        // mean, at least 1; geometric
  double think_s = 0;                      // mean from a turn's arrival to the next one's earliest; exponential
  LengthDistribution first, later, output;
  std::uint32_t most_prompt = kMostTraceTokens;
};

struct Workload {
  std::string name;
  std::string source;
  double rate = 1;
  Arrivals arrivals;
  Lengths lengths;
  std::uint32_t block_tokens = kTraceBlockTokens;
  std::vector<SessionKind> sessions;       // not empty: instead of lengths
};

// One of workload_names(), or a YAML file (a name with a '/' or a '.'). Errors: not_found, io_error, invalid_config.
Result<Workload> load_workload(const std::string& name_or_path);
// `name` stands for the file in errors; from_trace is looked up from `folder`.
Result<Workload> parse_workload(std::string_view text, const std::string& name, const std::string& folder);
std::vector<std::string> workload_names();

// The first `count` requests at `rate` a second. A function of its arguments, the same on every machine; prompts, outputs and arrivals are
// drawn apart, so that another rate gives the same requests closer together. The first arrives at 0; in a closed loop all do, since
// whoever drives the loop knows when. Sessions start cold: none has a history at 0. Errors: invalid_argument for a rate or count without
// meaning.
Result<Trace> generate(const Workload& workload, double rate, std::size_t count, std::uint64_t seed);

}  // namespace baton::sim
