// What a client may ask of the sampler and of the end of its output. Travels with every dispatch, so that any instance can go
// on at any position: together with the tokens and the prompt's length it is the whole sampling state.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/base/ids.h"

namespace baton {

struct SamplingParams {
  float temperature = 1.0f;              // 0: greedy
  std::int32_t top_k = 0;                // 0 or less: off
  float top_p = 1.0f;
  float min_p = 0.0f;
  float repetition_penalty = 1.0f;       // over prompt and output tokens, as vLLM and Hugging Face
  float presence_penalty = 0.0f;         // over output tokens only, as OpenAI
  float frequency_penalty = 0.0f;        // over output tokens only
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::uint64_t seed = 0;                // always set: drawn by the gateway when the client gave none
  std::int32_t logprobs = -1;            // -1: none; k >= 0: the chosen token's and the k best
  std::int32_t prompt_logprobs = -1;     // the same for every prompt token but the first (echo with logprobs)
  std::uint32_t max_tokens = 16;         // output tokens; 0: only the prompt is run (echo)
  std::uint32_t min_tokens = 0;          // eos and stop token ids are masked before this many output tokens
  bool ignore_eos = false;
  std::vector<TokenId> stop_token_ids;

  bool needs_history() const {
    return repetition_penalty != 1.0f || presence_penalty != 0.0f || frequency_penalty != 0.0f;
  }
  bool operator==(const SamplingParams&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SamplingParams& x) {
  return f(x.temperature, x.top_k, x.top_p, x.min_p, x.repetition_penalty, x.presence_penalty, x.frequency_penalty,
           x.logit_bias, x.seed, x.logprobs, x.prompt_logprobs, x.max_tokens, x.min_tokens, x.ignore_eos, x.stop_token_ids);
}

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;                     // natural logarithm, of the distribution before temperature and penalties (as vLLM, OpenAI)
  std::int32_t rank = 0;                 // 1: the most likely
  bool operator==(const TokenLogprob&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, TokenLogprob& x) {
  return f(x.token, x.logprob, x.rank);
}

// A chosen token with its log-probability and the best alternatives, best first (empty where none was asked for).
struct ScoredToken {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;
  bool operator==(const ScoredToken&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ScoredToken& x) {
  return f(x.chosen, x.top);
}

}  // namespace baton
