// The rules of one instance, prefill, decode or mixed: queues, batches, blocks, hand-off. A role only limits what arrives: every
// instance can run chunks and decode steps, since a decode instance recomputes what was preempted or did not verify.
//
//   PrefillRequest ─► waiting ─► prefilling ─┬─ local ─────────────────► running ─► gone
//                                            └─ holding (leased) ─► released ─► gone
//   DecodeRequest + Offer ─► offered ─► granted (KV moving) ─► running ─► gone
//                               └──────── recomputing ◄──────────┘ (preempted, lost or rejected blocks)
//
// Rules, each in its own file: prefill_queue.h, running_set.h, batch_composer.h, hand_off_source.h, hand_off_sink.h.
// Thread: none; the driver calls on() from one thread. Every call returns the commands to carry out, in order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/base/time.h"
#include "runtime/instance/instance_events.h"

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
  std::uint32_t prefill_token_budget = 2048;   // tokens of prompts in one step, over requests (Splitwise IV-B)
  std::uint32_t chunk_tokens = 512;            // of one prompt in one step; 0: whole prompts
  std::uint32_t watermark_blocks = 8;          // kept free at admission for running sequences to grow into
  bool prefix_cache = true;
  bool verify_kv = true;                       // digests
  Duration lease = Milliseconds{2000};         // of an offer; renewed by the receiver at a third of it
  Duration transfer_deadline = Milliseconds{10000};
  Duration reserve_deadline = Milliseconds{1000};    // a push grant that has not come by then: pull instead
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

class InstanceCore {
 public:
  explicit InstanceCore(InstanceOptions options);
  ~InstanceCore();
  InstanceCore(InstanceCore&&) noexcept;

  InstanceCommands on(const PrefillRequest& event, Instant now);
  InstanceCommands on(const DecodeRequest& event, Instant now);
  InstanceCommands on(const CancelRequest& event, Instant now);
  InstanceCommands on(const Reserve& event, Instant now);
  InstanceCommands on(const Offer& event, Instant now);
  InstanceCommands on(const Grant& event, Instant now);
  InstanceCommands on(const RenewLease& event, Instant now);
  InstanceCommands on(const Release& event, Instant now);
  InstanceCommands on(const StepDone& event, Instant now);
  InstanceCommands on(const StepFailed& event, Instant now);
  InstanceCommands on(const SlotsLanded& event, Instant now);
  InstanceCommands on(const SlotRejected& event, Instant now);
  InstanceCommands on(const TransferFailed& event, Instant now);
  InstanceCommands on(const SendsComplete& event, Instant now);
  InstanceCommands on(const PeerDown& event, Instant now);    // an instance: its hand-offs end; a gateway: its requests are cancelled
  InstanceCommands on(const Tick& event, Instant now);
  InstanceCommands drain(Instant now);                        // refuse new requests from now on, finish the rest

  const InstanceStats& stats() const;
  LoadReport load() const;
  bool idle() const;                                          // nothing queued, running, held or in flight
  void check_invariants() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton
