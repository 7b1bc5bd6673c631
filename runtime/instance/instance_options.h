// What one instance is told at its start, and what it counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/messages/membership.h"

namespace baton {

struct InstanceOptions {
  InstanceRef self;
  Role role = Role::mixed;
  std::uint64_t model_fingerprint = 0;
  std::uint32_t layers = 0;                    // of the model: slots of a transfer = layers * blocks
  std::vector<TokenId> eos_tokens;             // end-of-sequence ids of the model
  std::uint32_t blocks = 0;                    // of the KV pool
  std::uint32_t block_tokens = 16;
  std::uint32_t max_model_len = 8192;          // tokens
  std::uint32_t max_waiting = 256;             // requests; beyond it AttemptFailed queue_full
  std::uint32_t max_running = 256;             // sequences in a batch
  std::string queue_order = "fcfs";            // of prompts; a name of queue_order.h: fcfs, srpt, mlfq
  Duration queue_ageing = Milliseconds{5000};  // a prompt that came so long ago goes first, the oldest before others
  std::uint32_t prefill_token_budget = 2048;   // tokens of prompts in one step, over requests (Splitwise IV-B)
  std::uint32_t chunk_tokens = 512;            // of one prompt in one step; 0: whole prompts, as far as the budget allows
  std::uint32_t max_step_tokens = 2048;        // of all sequences in one step: what the device takes (Device::max_batch_tokens)
  std::uint32_t watermark_blocks = 8;          // kept free at admission for running sequences to grow into
  bool prefix_cache = true;
  bool verify_kv = true;                       // digests
  Duration lease = Milliseconds{2000};         // of an offer; renewed at a third of it; also how long half a hand-off awaits the other
  Duration transfer_deadline = Milliseconds{10000};  // without a block that lands
  Duration reserve_deadline = Milliseconds{1000};    // a Reserve that found no room by then waits for its Offer: pull instead
  Duration report_interval = Milliseconds{200};      // heartbeat of LoadReport; changes are coalesced to 10 ms
};

struct InstanceStats {                         // counters since start, for /metrics; gauges are in LoadReport
  std::uint64_t prompt_tokens_computed = 0;
  std::uint64_t prompt_tokens_cached = 0;
  std::uint64_t recomputed_tokens = 0;         // run again after preemption, loss or rejection
  std::uint64_t generated_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t blocks_rejected = 0;
  std::uint64_t leases_ended = 0;
  std::uint64_t prefix_queries_tokens = 0;
  std::uint64_t prefix_hits_tokens = 0;
};

}  // namespace baton
