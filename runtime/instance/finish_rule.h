// Does this token end its choice? Evaluated by whoever made it: P for the first one, then D. Stop strings are the gateway's,
// which alone has the text. min_tokens is the sampler's too: before it the ending tokens are masked, and here they do not
// count.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "runtime/messages/request.h"

namespace baton {

// `position` of the token in the sequence; prompt_tokens <= position.
inline FinishReason finish_of(TokenId token, std::uint32_t position, std::uint32_t prompt_tokens, const SamplingParams& sampling,
                              const std::vector<TokenId>& eos_tokens, std::uint32_t max_model_len) {
  const std::uint32_t index = position - prompt_tokens;
  if (index >= sampling.min_tokens) {
    const auto is_in = [&](const std::vector<TokenId>& ids) { return std::ranges::find(ids, token) != ids.end(); };
    if (is_in(sampling.stop_token_ids) || (!sampling.ignore_eos && is_in(eos_tokens))) return FinishReason::stop;
  }
  if (index + 1 >= sampling.max_tokens || position + 1 >= max_model_len) return FinishReason::length;
  return FinishReason::none;
}

}  // namespace baton
