// One row of a batch: tokens, how many of them have their KV stored, and where. A prompt, a choice being decoded and one that
// is recomputed after a preemption differ only in how many tokens are pending:
//
//   tokens   |■■■■■■■■■■■■■■■■■■■■|□□□□□□□|      ■ stored: KV in `table`     □ pending: to be run
//            0                    stored  tokens.size()
//
// When the last pending token has run, the next one is sampled: for each of several choices if the sequence is a prefill.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/base/time.h"
#include "runtime/kv/block_table.h"
#include "runtime/messages/request.h"

namespace baton {

// Sequences are ordered by their request's age, then by choice. Ages are never reused.
struct SequenceId {
  std::uint64_t age = 0;
  std::uint32_t choice = 0;
  auto operator<=>(const SequenceId&) const = default;
};

// What a sequence is besides, until its first tokens are made.
struct PrefillPart {
  InstanceRef decode;
  HandOffMode mode = HandOffMode::local;
  std::vector<std::uint32_t> choices;          // that are sampled from the one prefill
  bool score_prompt = false;
  std::vector<ScoredToken> scores;             // so far
  std::uint32_t cached_tokens = 0;             // of the prompt, found in the prefix cache
  std::optional<TransferId> grant;             // push by layer: the receiver's
  bool push_open = false;                      // SendBlocks{by_layer} was given: the blocks must stay
  std::uint32_t pushed_blocks = 0;             // covered by PushPlans so far
  bool push_failed = false;                    // the fabric could not send them: D will not have the KV
};

struct Sequence {
  SequenceId id;
  RequestKey key;
  InstanceRef gateway;
  SamplingParams sampling;
  Instant arrived;                             // a prefill: here; queue_order.h ages by it
  std::uint32_t prompt_tokens = 0;             // the boundary between prompt and output in `tokens`
  std::vector<TokenId> tokens;
  std::uint32_t stored = 0;
  std::uint32_t computed_before = 0;           // tokens below it that run again are counted as recomputed
  BlockTable table;
  std::vector<Hash128> chain;                  // identities of the first full blocks of `tokens`
  std::uint32_t published = 0;                 // blocks offered to the prefix index
  std::optional<BlockId> copy_from;            // a fork's partial block, referenced; copied to table.blocks()[stored / block_tokens]
  std::optional<PrefillPart> prefill;

  std::uint32_t pending() const { return static_cast<std::uint32_t>(tokens.size()) - stored; }
  bool preemptable() const { return !(prefill && prefill->push_open); }
};

}  // namespace baton
