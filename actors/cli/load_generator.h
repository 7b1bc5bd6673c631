// Sends streamed completions to an OpenAI-compatible server and records when each token came. Closed loop: a fixed number of requests
// in flight. Open loop: Poisson arrivals at a rate, whether or not earlier ones have ended. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace baton::cli {

struct LoadPlan {
  std::string host;
  std::string port;
  std::vector<std::string> bodies;       // JSON, one a request
  std::uint32_t concurrency = 1;         // closed loop, when rate is 0
  double rate = 0;                       // requests a second
  std::uint64_t seed = 1;                // of the arrivals
  double timeout_s = 600;                // of one request
  std::function<void(std::size_t ended)> progress;
};

struct RequestRecord {
  double arrival_s = 0;                  // since the run began; in the open loop the scheduled time, so that waiting to send counts
  std::vector<double> token_s;
  double end_s = 0;
  bool ok = false;
  std::string error;
};

// The plan, run to its end; or an error when the server cannot be reached at all.
Result<std::vector<RequestRecord>> run_load(const LoadPlan& plan);

// One whole request and answer, for setting up: status and body.
struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};
Result<HttpAnswer> http_call(const std::string& host, const std::string& port, const std::string& method, const std::string& path,
                             const std::string& body, double timeout_s);

}  // namespace baton::cli
