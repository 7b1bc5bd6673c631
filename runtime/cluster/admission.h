// Whether a request is taken or refused at its arrival, by name. Built in, and coming in by the same door as anybody's:
//
//   none              whatever finds room is taken
//   deadline          refuses a request whose first token is predicted after its deadline. How many tokens follow is known to nobody
//                     before they are made (max_tokens is only a bound), so they do not count
//   early_rejection   refuses when the load of either side is above 1, before any work is spent (Mooncake, arXiv 2407.00079 v3,
//                     section 7.2):   load of prefill = predicted TTFT / slo_ttft     load of decode = predicted gap / slo_itl
//
// Both loads are of the pair that routing chose for the request. Predictions are simple on purpose, and the same from the same reports:
//
//   TTFT   (tokens pending at the prefill instance + the prompt's) / the tokens a second that it measured; nothing counts as cached
//   gap    the mean duration of the decode instance's steps, as it measured: the present load, as in the paper, where the
//          requests still in prefill do not show, so that loads may swing (its figure 9)
//
// What is not measured yet is predicted by nobody and refuses nothing. What was once taken is not refused later: the scheduler asks
// for a request's first epoch only.
//
// Register before the first scheduler is made, from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/messages/membership.h"

namespace baton {

// Of a pair of instances, for one request.
struct Forecast {
  std::optional<Duration> first_token;         // from now
  std::optional<Duration> token_gap;
};
Forecast forecast(std::uint64_t pending_tokens, std::uint32_t prompt_tokens, const LoadReport& prefill, const LoadReport& decode);

struct AdmissionQuestion {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_output_tokens = 0;
  Duration time_left{};
  Forecast forecast;
};

struct Refusal {
  std::string reason;                          // for the client
  Duration retry_after{};                      // until it may be taken, as far as that can be told
};

class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;
  virtual std::optional<Refusal> refuse(const AdmissionQuestion& question) = 0;
};

struct AdmissionOptions {                      // the paper's for its real workload
  Duration slo_ttft = Milliseconds{30'000};
  Duration slo_itl = Milliseconds{100};
};

using AdmissionFactory = std::function<std::unique_ptr<AdmissionPolicy>(const AdmissionOptions&)>;

// Errors: invalid_argument when the name is taken or empty.
Status register_admission(const std::string& name, AdmissionFactory factory);

// Errors: invalid_config, naming the nearest known name or all of them.
Result<std::unique_ptr<AdmissionPolicy>> make_admission(std::string_view name, const AdmissionOptions& options = {});

std::vector<std::string> admission_names();          // sorted

}  // namespace baton
