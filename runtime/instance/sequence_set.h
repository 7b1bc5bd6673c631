// The sequences of an instance: those that wait for room, and those that have blocks and a place in the batch; both by age. Who
// of them is next is the queue order's (queue_order.h), by age unless another is set.
//
//   add_waiting ─► waiting ──admit──► running ──remove──► gone
//                     ▲                  │
//                     └─────preempt──────┘       (its blocks are freed; everything known so far is recomputed)
//
// The oldest running sequence can always grow: the youngest is preempted for it. Source: vLLM (SOSP'23) 4.5, recomputation.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "runtime/instance/instance_context.h"
#include "runtime/instance/sequence.h"

namespace baton {

class SequenceSet {
 public:
  explicit SequenceSet(InstanceContext& context) : context_(context) {}

  const std::map<SequenceId, Sequence>& waiting() const { return waiting_; }
  const std::map<SequenceId, Sequence>& running() const { return running_; }
  Sequence* find(SequenceId id);                           // waiting or running
  Sequence* find_running(SequenceId id);
  std::vector<SequenceId> of_age(std::uint64_t age) const;
  bool any_of_age(std::uint64_t age) const { return !of_age(age).empty(); }

  void add_waiting(Sequence sequence);
  void add_running(Sequence sequence);                     // with its table
  // Blocks that `sequence` needs to run all it knows, after the prefix that `cached` holds.
  std::vector<BlockId> cached_prefix(Sequence& sequence) const;
  std::optional<SequenceId> first_waiting(Instant now) const;      // in the queue's order
  bool admit(SequenceId id, bool keep_watermark);          // a waiting one, if it fits
  std::uint32_t blocks_to_admit(SequenceId id) const;      // of a waiting one: an upper bound, as if nothing were cached
  // Running sequences with more than one token to compute, in the queue's order.
  std::vector<Sequence*> running_prompts(Instant now);
  // Tokens that running ones will compute before the waiting `id` begins, if it were admitted.
  std::uint64_t pending_tokens_before(SequenceId id, Instant now) const;
  void remove(SequenceId id);                              // and free its blocks
  Sequence take(SequenceId id);                            // and leave its blocks to the caller

  // Gives every running sequence, oldest first, blocks for all its tokens; preempts the youngest where there are none left. A
  // sequence that still lacks blocks is the oldest, and waits for blocks that are leased: it sits out the step.
  void grow_running();
  bool complete(const Sequence& sequence) const { return sequence.table.missing_for(sequence.tokens.size(), context_.pool) == 0; }
  void publish_full_blocks(Sequence& sequence);            // of its stored tokens, to the prefix index

  std::uint32_t waiting_prefills() const;
  std::uint64_t pending_prefill_tokens(bool running_only) const;
  std::uint64_t context_tokens() const;
  void check_invariants() const;

 private:
  struct Place {                                           // in the queue; the lowest goes first
    bool behind_aged = false;
    bool not_granted = false;                              // push: no memory is kept for it at its decode instance
    std::uint64_t key = 0;
    SequenceId id;
    auto operator<=>(const Place&) const = default;
  };
  Place place_of(const Sequence& sequence, Instant now) const;
  void preempt(SequenceId id);
  void free_blocks(Sequence& sequence);

  InstanceContext& context_;
  std::map<SequenceId, Sequence> waiting_;                 // no blocks
  std::map<SequenceId, Sequence> running_;
};

}  // namespace baton
