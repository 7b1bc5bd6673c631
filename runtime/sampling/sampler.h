// From a row of logits to a token. A pure function of (logits, parameters, position): the draw is keyed by (seed, choice,
// absolute position), so that the same request gives the same token on any instance, in any batch, after any recovery.
//
// In this order, as vLLM does it:
//   1. log-probabilities are read off the logits as the model made them
//   2. end-of-sequence and stop token ids are masked before min_tokens output tokens
//   3. logit_bias is added
//   4. repetition (prompt and output), then frequency and presence penalties (output)
//   5. temperature 0: the greatest logit; else logits / temperature
//   6. min_p, top_k, top_p, each on what the one before left; at least one token stays
//   7. one draw over what is left
// Ties go to the lower id throughout. NaN counts as minus infinity; if no token is left at all, the answer is token 0.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/base/ids.h"
#include "runtime/messages/sampling_params.h"

namespace baton {

struct SamplingPosition {
  std::span<const TokenId> tokens;       // prompt and output so far; read only if params.needs_history()
  std::uint32_t prompt_tokens = 0;       // the boundary between prompt and output, whatever was recomputed since
  std::uint32_t position = 0;            // index, from the prompt's first token, of the token being sampled
  std::uint32_t choice = 0;              // of the request's n
  std::span<const TokenId> eos;          // the model's; masked before min_tokens

  std::uint32_t output_index() const { return position - prompt_tokens; }
};

// No log-probability is less than this: what OpenAI prints for "as good as impossible", and it fits every wire format.
constexpr float kLeastLogprob = -9999.0f;

// `logits` is not empty. With params.logprobs < 0 the token alone is computed: logprob and rank are 0, top is empty.
ScoredToken sample(std::span<const float> logits, const SamplingParams& params, const SamplingPosition& position);

// A given token's log-probability and the `top` best (prompt log-probabilities). Equal bit for bit to what sample() reports, and
// to the token's own entry in `top`. `token` is in range.
ScoredToken score(std::span<const float> logits, TokenId token, std::int32_t top);

}  // namespace baton
