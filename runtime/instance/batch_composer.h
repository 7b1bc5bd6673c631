// What goes into the next step: every decoding sequence, then chunks of prompts (and of what is recomputed) in the queue's order,
// up to the token budgets. A prompt never overtakes one that goes before it. Sources: Orca (OSDI'22) iteration-level batching;
// Sarathi-Serve (OSDI'24) chunks beside decodes; Splitwise section IV-B, the 2048-token prompt budget.
//
// A step's sequences may be cancelled while it runs. The device goes on writing to their blocks, so the step holds a
// reference on every block it touches until it is done: none is given to another before.
#pragma once

#include <optional>
#include <vector>

#include "runtime/instance/hand_off_source.h"
#include "runtime/instance/instance_context.h"
#include "runtime/instance/sequence_set.h"

namespace baton {

struct StepPart {
  SequenceId sequence;
  RequestKey key;
  std::uint32_t start = 0;
  std::uint32_t count = 0;                 // tokens run
  std::vector<std::uint32_t> choices;      // sampled after them
};

struct StepInFlight {
  StepId id;
  Instant started;
  std::uint32_t prompt_tokens = 0;         // also of what is recomputed
  std::uint32_t decodes = 0;               // sequences
  std::vector<StepPart> parts;
  std::vector<BlockId> pins;               // one reference each
};

class BatchComposer {
 public:
  BatchComposer(InstanceContext& context, SequenceSet& sequences, HandOffSource& source)
      : context_(context), sequences_(sequences), source_(source) {}

  // Emits StartStep (and SendBlocks for a push that begins); nothing, if nothing can run.
  std::optional<StepInFlight> compose(Instant now);

 private:
  struct Picked {
    Sequence* sequence;
    std::uint32_t count;
  };
  std::vector<Picked> pick(Instant now);
  StepSequence describe(Sequence& sequence, std::uint32_t count);
  void plan_push(Sequence& sequence, std::uint32_t count, StepSequence& part);
  void pin(Sequence& sequence, std::uint32_t blocks, StartStep& step, StepInFlight& flight);

  InstanceContext& context_;
  SequenceSet& sequences_;
  HandOffSource& source_;
  StepId last_;
};

}  // namespace baton
