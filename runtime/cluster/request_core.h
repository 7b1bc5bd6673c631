// The rules of one client request: dispatch, delivery, stop strings, deadline, recovery. Owned by its request actor, which lives
// on the gateway's node. All choices of a request are here; after a failure each unfinished choice is dispatched by itself.
//
//   start ─► assigning ─► prefilling ─► decoding ─► ended (exactly one RequestOutcome)
//               ▲             │             │
//               └── next epoch, backoff ────┘   (instance down, attempt failed, lease ended)
//
// Delivery: a choice's token of index n is emitted exactly once and in order, whatever arrives twice, late or from an older epoch.
// Ids: choice c of a request dispatched by itself uses RequestId{id + c}; ids are drawn kChoiceStride apart.
//
// A driver that has no connection to an instance named in a command answers with InstanceLost of it, and drops what is for a
// scheduler that is away: the core asks again. While D has the tokens, P may be lost: D recomputes what did not land.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/time.h"
#include "runtime/messages/hand_off.h"
#include "runtime/messages/request.h"
#include "runtime/text/text_stream.h"

namespace baton {

inline constexpr std::uint64_t kChoiceStride = 128;    // and so the greatest n

struct RequestSpec {
  RequestId id;                                // a multiple of kChoiceStride
  InstanceRef gateway;
  std::vector<TokenId> prompt;                 // not empty
  SamplingParams sampling;                     // seed set
  std::uint32_t choices = 1;
  std::vector<std::string> stop;               // strings, at most 16
  bool include_stop_in_output = false;
  bool skip_special_tokens = true;
  Duration deadline = Milliseconds{600000};    // from start
  Duration assign_deadline = Milliseconds{5000};     // to find an instance, at first and after each failure
  std::uint32_t max_attempts = 8;              // of a choice in a row that bring it no token; with tokens only the deadline ends it
};

// ---- events: Assigned, AssignRefused, StepTokens' entries, PromptScores, AttemptFailed, and ----
struct StartRequest {};
struct InstanceLost { InstanceRef instance; };           // down, or replaced by a newer incarnation
struct CancelByClient {};
struct RequestTick {};                                   // the time of the last SetRequestTimer, or later

// ---- commands ----
struct EmitToken {                             // to the client; text may be empty (held back) and tokens empty (a flush)
  std::uint32_t choice = 0;
  std::string text;
  std::vector<ScoredToken> tokens;             // an eos or stop token is among them (it counts), though its text is not
  std::string finish_reason;                   // "", "stop", "length"; then nothing follows for the choice
  std::string stop_reason;                     // the stop string that matched, if any
  std::int32_t stop_token = -1;                // or the stop token id
};
struct EmitPromptScores { std::vector<ScoredToken> scores; };
struct RequestOutcome {                        // exactly one, the last command ever
  std::optional<Error> error;                  // nothing: every choice finished
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;         // over choices, delivered ones only
  std::uint32_t cached_tokens = 0;
  std::uint32_t recoveries_prefill = 0;        // attempts beyond the first, by the phase that failed
  std::uint32_t recoveries_decode = 0;
};
struct SetRequestTimer { Instant at; };        // replaces any earlier one
template <class Message>
struct SendToInstance {
  InstanceRef to;
  Message message;
};
struct SendAssign { AssignRequest message; };  // to the scheduler
struct SendEnded { RequestEnded message; };

using RequestCommand =
    std::variant<SendAssign, SendEnded, SendToInstance<PrefillRequest>, SendToInstance<Reserve>, SendToInstance<DecodeRequest>,
                 SendToInstance<CancelRequest>, EmitToken, EmitPromptScores, RequestOutcome, SetRequestTimer>;
using RequestCommands = std::vector<RequestCommand>;

class RequestCore {
 public:
  RequestCore(RequestSpec spec, std::shared_ptr<const Tokenizer> tokenizer);
  ~RequestCore();
  RequestCore(RequestCore&&) noexcept;

  RequestCommands on(const StartRequest& event, Instant now);
  RequestCommands on(const Assigned& event, Instant now);
  RequestCommands on(const AssignRefused& event, Instant now);
  RequestCommands on(const InstanceRef& from, const TokenOut& event, Instant now);
  RequestCommands on(const PromptScores& event, Instant now);
  RequestCommands on(const AttemptFailed& event, Instant now);
  RequestCommands on(const InstanceLost& event, Instant now);
  RequestCommands on(const CancelByClient& event, Instant now);
  RequestCommands on(const RequestTick& event, Instant now);

  bool ended() const;
  void check_invariants() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton
