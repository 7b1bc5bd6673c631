// DistServe's released simulator, rule by rule, so that its numbers can be reproduced. It is a model of its own beside production's
// cores because its semantics are not theirs: a hand-off takes no time, KV memory is never occupied, every prompt that waits is
// prefilled at once, and a decode batch is limited by 50,000 tokens of context.
//
//   arrivals ──► prefill stage 0 ──► ... ──► last stage ──(first token)──► decode stage 0 ──► ... ──► last stage ──► done
//                                                                                ▲──────────(next token)──────┘
//   vllm: one chain of stages does both and prefers prefill.
//
// A stage runs one batch at a time, to its end. Prefill: stage 0 takes from the head of its queue while prompts fit in
// Deployment::prefill_tokens; later stages take what stage 0 batched. Decode: every stage takes what waits. A stage that is done starts
// again in the same instant, before those it handed work to; an idle stage starts after everything else of that instant.
//
// Source: DistServe (OSDI'24), simdistserve of the release: modules worker, time_estimator and simulate_dist at commit 82831f1.
// Times are milliseconds. Thread: none; one run at a time. Cost: no allocation per event once the queues have grown.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/sim/distserve_profile.h"
#include "runtime/sim/compat/number_queue.h"

namespace baton::sim::distserve {

struct Lengths {
  std::uint32_t prompt = 0;
  std::uint32_t output = 0;                // decode steps, so output + 1 tokens in all; 0: done with the first token
};

struct Latency {
  double ttft = 0;
  double decode = 0;                       // from the first token to the end, waiting included
  double e2e = 0;
  double tpot(std::uint32_t output) const { return output == 0 ? 0 : decode / output; }
};

// A request that never fits a batch would keep the simulation going forever. Errors: invalid_argument, with its number.
Status check_fits(const Deployment& deployment, std::span<const Lengths> requests);

class Simulator {
 public:
  explicit Simulator(const Deployment& deployment);

  // `arrivals` ascend, one for each request; requests passed check_fits(). The latencies stay valid until the next run.
  const std::vector<Latency>& run(std::span<const Lengths> requests, std::span<const double> arrivals);

 private:
  struct Stage {
    NumberQueue prefill, decode;
    std::uint64_t decode_context = 0;      // tokens of all in `decode`
    std::vector<std::uint32_t> batch;
    bool batch_is_prefill = false;
    bool idle = true;
    bool woken = false;                    // idle, and in wakes_
    bool first = false, last = false;
    std::uint32_t next = 0;                // in the ring of its instance
  };
  struct BatchEnd {
    double at = 0;
    std::uint64_t order = 0;               // of creation; decides between equals
    std::uint32_t stage = 0;
    bool operator>(const BatchEnd& other) const { return at > other.at || (at == other.at && order > other.order); }
  };
  struct Progress {
    std::uint32_t context = 0;
    std::uint32_t left = 0;                // decode steps to do
  };

  void reset(std::span<const Lengths> requests);
  void add_chain(std::uint32_t stages);
  void play(std::span<const double> arrivals);
  void add_prefill(std::uint32_t stage, std::uint32_t request);
  void wake(std::uint32_t stage);
  void start_batch(std::uint32_t stage);
  double start_prefill(Stage& stage);      // fills its batch; how long it takes
  double start_decode(Stage& stage);
  void finish_prefill(const Stage& stage);
  void finish_decode(const Stage& stage);

  Deployment deployment_;
  std::uint32_t decode_head_ = 0;          // stage 0 of the decode chain
  std::vector<Stage> stages_;
  std::vector<Progress> progress_;
  std::vector<std::uint64_t> batch_of_;    // the prefill batch that a request is in
  std::vector<double> first_token_, end_;
  std::vector<Latency> latencies_;
  std::vector<BatchEnd> ends_;             // heap, the next one first
  NumberQueue wakes_;                      // idle stages to start, in order
  std::uint64_t batches_ = 0;              // started
  double now_ = 0;
};

}  // namespace baton::sim::distserve
