// What happens to an instance's core (runtime/instance/instance_core.h), and what it asks for. Messages of runtime/messages are
// events as they stand; these are the local ones.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/base/ids.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/messages/hand_off.h"
#include "runtime/messages/membership.h"
#include "runtime/messages/request.h"

namespace baton {

// ---- events ----------------------------------------------------------------------------------------------------------

// The device finished a step. `samples` has one entry per sample asked for by the step's sequences, in their order.
struct StepSample {
  RequestKey key;
  std::uint32_t choice = 0;
  ScoredToken token;
};
struct StepPromptScores {
  RequestKey key;
  std::vector<ScoredToken> scores;       // for the chunk's tokens that were asked for
};
struct StepRoot {                        // over the digests of a complete prompt's slots, in slot order (root_digest of base/hash.h)
  RequestKey key;
  std::uint64_t root = 0;
};
struct StepDone {
  StepId step;
  std::vector<StepSample> samples;
  std::vector<StepPromptScores> prompt_scores;
  std::vector<StepRoot> roots;
};
struct StepFailed {
  StepId step;
  Error error;
};

// The fabric, on the receiver's side: every slot named landed, its digest equal, its bytes in the arena.
struct SlotsLanded {
  TransferId transfer;
  std::vector<std::uint32_t> slots;
  std::vector<std::uint64_t> digests;    // of the same slots; empty when digests are off
};
// A slot that did not verify; it was not copied. The core recomputes from the first token of the first such block.
struct SlotRejected {
  TransferId transfer;
  std::uint32_t slot = 0;
};
struct TransferFailed {                  // receiver's side: it will make no more progress
  TransferId transfer;
  Error error;
};
// The fabric, on the sender's side: no send of this transfer is outstanding any more (complete or failed).
struct SendsComplete {
  TransferId transfer;
  bool failed = false;
};
struct PeerDown {                        // the control connection ended: what it had from us is lost
  InstanceRef peer;
};
struct PeerUp {                          // connected, hello accepted: two instances may be assigned to each other before
  InstanceRef peer;
};
// The fabric's link to an instance, which is no sign of its life or death: what moves over it ends by itself, with TransferFailed
// and SendsComplete. A PeerUp is taken to have one until it is down.
struct KvLinkDown {
  InstanceRef peer;
};
struct KvLinkUp {
  InstanceRef peer;
};
struct Tick {};                          // the time named by the last SetTimer, or later

// ---- commands --------------------------------------------------------------------------------------------------------

template <class Message>
struct SendTo {                          // to an instance (hand-off) or a gateway (tokens)
  InstanceRef to;
  Message message;
};

// Slots [block_begin, block_end) of every layer of `transfer` may leave as each layer of the step is computed.
struct PushPlan {
  TransferId transfer;
  InstanceRef peer;
  std::uint32_t block_begin = 0;         // ordinals in the request's block table
  std::uint32_t block_end = 0;
  bool last = false;                     // the transfer is complete after this step
};

// One sequence's part of a step; values only, so that the worker's thread shares nothing with the core.
struct StepSequence {
  RequestKey key;
  std::vector<TokenId> tokens;           // at positions start ..
  std::uint32_t start = 0;
  std::vector<BlockId> blocks;
  std::vector<std::uint32_t> sample_choices;   // choices to sample after the last token; empty: a chunk that is not the last
  std::uint32_t prompt_tokens = 0;       // of the request: the boundary between prompt and output
  SamplingParams sampling;
  std::vector<TokenId> history;          // all tokens up to and with this chunk, only if sampling.needs_history()
  bool score_prompt = false;             // make prompt scores for the chunk
  TokenId next_prompt_token = -1;        // with score_prompt: the prompt token after the chunk; -1: the chunk ends the prompt
  std::vector<PushPlan> push;            // at most one
  std::vector<Hash128> seal;             // identity of every block of the prompt, on its last chunk and with verify_kv: make the root
};
// Runs on the device's worker thread; at most one is outstanding. Forks' block copies come first.
struct StartStep {
  StepId step;
  std::vector<std::pair<BlockId, BlockId>> copies;   // (from, to), all layers, before the batch
  std::vector<StepSequence> sequences;
};

// The receiver's grant to the fabric: accept these slots, verify, copy.
struct AcceptTransfer {
  TransferId transfer;
  InstanceRef from;
  std::vector<BlockId> blocks;           // own blocks, by ordinal
  std::vector<Hash128> prefix;           // identity of each block (the last one's over its partial content), seeds the digests
  std::uint32_t tokens = 0;              // in all; the last block may be partly filled
  Duration deadline{};
};
struct DropTransfer {                    // the grant is dead from now on; what arrives for it is dropped
  TransferId transfer;
};
// The sender's: blocks by ordinal, whole transfer at once (pull) or as the PushPlans say (push; then only opens the transfer).
struct SendBlocks {
  TransferId transfer;
  InstanceRef to;
  std::vector<BlockId> blocks;
  std::vector<Hash128> prefix;
  std::uint32_t tokens = 0;
  bool by_layer = false;
};
struct AbortSends {                      // answered by SendsComplete{failed} once nothing is outstanding
  TransferId transfer;
};
struct SetTimer {                        // replaces any earlier one
  Instant at;
};

using InstanceCommand =
    std::variant<SendTo<StepTokens>, SendTo<PromptScores>, SendTo<AttemptFailed>, SendTo<Offer>, SendTo<Grant>,
                 SendTo<RenewLease>, SendTo<Release>, SendTo<Withdraw>, LoadReport, StartStep, AcceptTransfer, DropTransfer, SendBlocks,
                 AbortSends, SetTimer>;
using InstanceCommands = std::vector<InstanceCommand>;

}  // namespace baton
