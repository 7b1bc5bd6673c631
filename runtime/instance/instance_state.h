// The parts of an instance's core, put together. Rules live in the parts; what needs several of them is here:
// instance_core.cc (messages), losses.cc (waits, peers, sends), step_results.cc (a step's outcome), decoding.cc (requests that
// join the batch), load_and_invariants.cc.
#pragma once

#include <optional>

#include "runtime/instance/attempt_book.h"
#include "runtime/instance/batch_composer.h"
#include "runtime/instance/hand_off_sink.h"
#include "runtime/instance/hand_off_source.h"
#include "runtime/instance/instance_context.h"
#include "runtime/instance/instance_core.h"
#include "runtime/instance/load_reporter.h"
#include "runtime/instance/partner_links.h"
#include "runtime/instance/sequence_set.h"
#include "runtime/instance/speed_meter.h"

namespace baton {

struct InstanceCore::State {
  explicit State(InstanceOptions given)
      : context(std::move(given)), sequences(context), source(context), sink(context), composer(context, sequences, source),
        reporter(context), speed(half_full(context.options)) {}

  InstanceContext context;
  AttemptBook book;
  SequenceSet sequences;
  HandOffSource source;
  HandOffSink sink;
  BatchComposer composer;
  PartnerLinks partners;
  LoadReporter reporter;
  SpeedMeter speed;
  std::optional<StepInFlight> step;
  std::optional<Instant> timer;            // the last SetTimer
  bool draining = false;

  // instance_core.cc
  bool admissible(const RequestKey& key);                          // false: stale; an older attempt is superseded
  std::optional<Error> refusal(std::uint64_t tokens, std::uint32_t prompt_tokens, const SamplingParams& sampling) const;
  void refuse(const RequestKey& key, InstanceRef gateway, Error error);
  void start_prefill(const PrefillRequest& request, Instant now);
  void cancel_choice(RequestId request, std::uint32_t choice);
  void fail(RequestId request, Error error, InstanceRef culprit);  // tells the gateway whom to avoid, frees everything
  void end(RequestId request);                                     // frees everything, remembers the epoch
  void end_if_done(RequestId request);                             // no sequence of a computing attempt is left
  void admit(Instant now);
  InstanceCommands pump(Instant now);                              // after every event: admission, next step, report, timer

  // losses.cc
  void wait_ended(WaitKey key, Instant now);
  void instance_down(InstanceRef peer, Instant now);
  void sends_complete(const SendsComplete& done);

  // step_results.cc
  void step_done(const StepDone& done, Instant now);
  void step_failed(const StepFailed& failed);
  void count_computed(const Sequence& sequence, const StepPart& part);
  void prefill_done(SequenceId id, const std::vector<const StepSample*>& samples, std::uint64_t root, Instant now);
  void token_made(Sequence& sequence, const StepSample& sample);
  FinishReason emit(const Sequence& sequence, std::uint32_t choice, const ScoredToken& token, std::uint32_t cached_tokens);

  // decoding.cc
  void start_local(Sequence prefilled, std::vector<ChoiceStart> choices);
  void start_arrived(Arrival arrival);
  void arrived(std::optional<Arrival> arrival);
  void split(Sequence base, const std::vector<ChoiceStart>& choices);

  // load_and_invariants.cc
  static std::uint32_t half_full(const InstanceOptions& options);  // tokens of prompts: as many make a step count as full of them
  LoadReport load() const;
  void check_invariants() const;
};

}  // namespace baton
