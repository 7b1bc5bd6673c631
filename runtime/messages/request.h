// Between a request actor (R), the scheduler (S) and the instances (P, D). Every message names (request, epoch); the receiver
// ignores an epoch older than the one it knows. Durations are time left, never instants.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/messages/sampling_params.h"

namespace baton {

enum class HandOffMode : std::uint8_t { local, pull, push_by_layer };   // local: the prefill instance decodes, nothing moves
const char* to_string(HandOffMode mode);

enum class FinishReason : std::uint8_t { none, stop, length };          // of a choice, as decided by an instance

// R -> S
struct AssignRequest {
  RequestKey key;
  std::uint32_t prompt_tokens = 0;            // to be prefilled: on recovery prompt + delivered
  std::uint32_t max_output_tokens = 0;        // still to come
  std::uint32_t choices = 1;
  std::vector<InstanceId> avoid;              // that just failed this request; a preference, not a ban
  std::vector<std::uint64_t> prefix;          // names of the prompt's beginnings (runtime/kv/prefix_identity.h), at most 32
  std::uint32_t prefix_stride = 0;            // tokens from one to the next
  Duration time_left{};
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, AssignRequest& x) {
  return f(x.key, x.prompt_tokens, x.max_output_tokens, x.choices, x.avoid, x.prefix, x.prefix_stride, x.time_left);
}

// S -> R
struct Assigned {
  RequestKey key;
  InstanceRef prefill;
  InstanceRef decode;                         // equal to prefill when mode is local
  HandOffMode mode = HandOffMode::pull;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Assigned& x) {
  return f(x.key, x.prefill, x.decode, x.mode);
}

struct AssignRefused {
  RequestKey key;
  Error error;                                // queue_full (retry_after_s set) or unavailable
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, AssignRefused& x) {
  return f(x.key, x.error);
}

// R -> S: the attempt is over, however it ended; its load is no longer counted.
struct RequestEnded {
  RequestKey key;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RequestEnded& x) {
  return f(x.key);
}

// R -> P
struct PrefillRequest {
  RequestKey key;
  InstanceRef target;                         // dropped by any other incarnation
  InstanceRef gateway;                        // to whom tokens go
  std::vector<TokenId> tokens;                // prompt, on recovery followed by what was delivered
  std::uint32_t prompt_tokens = 0;            // the boundary between prompt and output in `tokens`
  SamplingParams sampling;
  std::uint32_t first_choice = 0;             // choices first_choice .. first_choice + choices - 1 are sampled from the one prefill
  std::uint32_t choices = 1;
  InstanceRef decode;
  HandOffMode mode = HandOffMode::pull;
  Duration time_left{};
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, PrefillRequest& x) {
  return f(x.key, x.target, x.gateway, x.tokens, x.prompt_tokens, x.sampling, x.first_choice, x.choices, x.decode, x.mode,
           x.time_left);
}

struct ChoiceStart {
  std::uint32_t choice = 0;
  TokenId first_token = 0;                    // the prefill's, delivered; position tokens.size() of the DecodeRequest
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ChoiceStart& x) {
  return f(x.choice, x.first_token);
}

// R -> D, at the first token: all that D needs to go on, and to recompute should the KV not arrive.
struct DecodeRequest {
  RequestKey key;
  InstanceRef target;
  InstanceRef gateway;
  InstanceRef prefill;
  std::vector<TokenId> tokens;                // whose KV is handed off: what P was given
  std::uint32_t prompt_tokens = 0;
  SamplingParams sampling;
  std::vector<ChoiceStart> choices;           // those that did not end at their first token
  HandOffMode mode = HandOffMode::pull;
  Duration time_left{};
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, DecodeRequest& x) {
  return f(x.key, x.target, x.gateway, x.prefill, x.tokens, x.prompt_tokens, x.sampling, x.choices, x.mode, x.time_left);
}

// P or D -> R. Tokens carry their index among the choice's output tokens, so that each is delivered once and in order.
struct TokenOut {
  RequestKey key;
  std::uint32_t choice = 0;
  std::uint32_t index = 0;                    // 0: the first output token of the request (delivered ones count on recovery)
  ScoredToken token;
  FinishReason finish = FinishReason::none;   // this token is the choice's last
  std::uint32_t cached_tokens = 0;            // with a prefill's first token: prompt tokens taken from the prefix cache
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, TokenOut& x) {
  return f(x.key, x.choice, x.index, x.token, x.finish, x.cached_tokens);
}

// All tokens of one step for one gateway, in one message.
struct StepTokens {
  InstanceRef from;
  std::vector<TokenOut> tokens;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, StepTokens& x) {
  return f(x.from, x.tokens);
}

// P -> R, before the first token, when prompt log-probabilities were asked for. Entry i scores tokens[i + 1] given those before.
struct PromptScores {
  RequestKey key;
  InstanceRef from;
  std::vector<ScoredToken> scores;
  bool last = false;                          // max_tokens is 0: no token follows
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, PromptScores& x) {
  return f(x.key, x.from, x.scores, x.last);
}

// P or D -> R: this attempt cannot go on here. R dispatches again (next epoch) or ends the request, by the error's code.
struct AttemptFailed {
  RequestKey key;
  InstanceRef from;
  Error error;
  InstanceRef culprit;                        // whom to avoid: `from` itself, or the partner that it cannot reach
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, AttemptFailed& x) {
  return f(x.key, x.from, x.error, x.culprit);
}

// R -> P and D: free everything of this request up to and including this epoch. `choice` -1: all choices.
struct CancelRequest {
  RequestKey key;
  std::int32_t choice = -1;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CancelRequest& x) {
  return f(x.key, x.choice);
}

}  // namespace baton
