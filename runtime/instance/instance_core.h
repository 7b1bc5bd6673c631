// The rules of one instance, prefill, decode or mixed: queues, batches, blocks, hand-off. A role only limits what arrives:
// every instance can run chunks and decode steps, since a decode instance recomputes what was preempted or did not verify.
//
//   PrefillRequest ─► waiting ─► prefilling ─┬─ local ─────────────────► running ─► gone
//                                            └─ holding (leased) ─► released ─► gone
//   DecodeRequest + Offer ─► offered ─► granted (KV moving) ─► running ─► gone
//                               └──────── recomputing ◄──────────┘ (preempted, lost or rejected blocks)
//
// Rules, each in its own file: attempt_book.h (epochs), sequence_set.h (age, admission, preemption), queue_order.h, batch_composer.h,
// hand_off_source.h (P's side), hand_off_sink.h (D's side), finish_rule.h, partner_links.h, load_reporter.h; what needs several:
// instance_state.h.
// Thread: none; the driver calls on() from one thread. Every call returns the commands to carry out, in order. The driver calls
// on(Tick) once at the start: the first LoadReport and SetTimer follow, and from then on there is always a timer.
#pragma once

#include <memory>

#include "runtime/base/time.h"
#include "runtime/instance/instance_events.h"
#include "runtime/instance/instance_options.h"

namespace baton {

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
  InstanceCommands on(const Withdraw& event, Instant now);
  InstanceCommands on(const StepDone& event, Instant now);
  InstanceCommands on(const StepFailed& event, Instant now);
  InstanceCommands on(const SlotsLanded& event, Instant now);
  InstanceCommands on(const SlotRejected& event, Instant now);
  InstanceCommands on(const TransferFailed& event, Instant now);
  InstanceCommands on(const SendsComplete& event, Instant now);
  InstanceCommands on(const PeerDown& event, Instant now);    // an instance: its hand-offs end; a gateway: its requests are cancelled
  InstanceCommands on(const PeerUp& event, Instant now);      // what was sent while it was not connected goes again
  InstanceCommands on(const KvLinkDown& event, Instant now);
  InstanceCommands on(const KvLinkUp& event, Instant now);
  InstanceCommands on(const Tick& event, Instant now);
  InstanceCommands drain(Instant now);                        // refuse new requests from now on, finish the rest

  const InstanceStats& stats() const;
  LoadReport load() const;
  bool idle() const;                                          // nothing queued, running, held or in flight
  void check_invariants() const;

  struct State;                                               // instance_state.h, this folder's own

 private:
  std::unique_ptr<State> state_;
};

}  // namespace baton
