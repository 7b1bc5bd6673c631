#include "runtime/cluster/choice_stream.h"

#include <algorithm>

#include "runtime/base/check.h"
#include "runtime/text/tokenizer.h"

namespace baton {
namespace {

bool contains(const std::vector<TokenId>& tokens, TokenId token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace

ChoiceStream::ChoiceStream(std::uint32_t choice, const RequestSpec& spec, const std::shared_ptr<const Tokenizer>& tokenizer)
    : choice_(choice),
      text_(tokenizer, {.stop = spec.stop, .include_stop = spec.include_stop_in_output, .skip_special = spec.skip_special_tokens}),
      eos_(tokenizer->eos_tokens()) {}

ChoiceStream::Progress ChoiceStream::take(const RequestSpec& spec, const TokenOut& token) {
  Progress progress;
  if (done_ || token.index < delivered_.size() || token.index >= spec.sampling.max_tokens) return progress;
  if (token.index > delivered_.size()) {
    const auto place = std::lower_bound(early_.begin(), early_.end(), token.index,
                                        [](const TokenOut& early, std::uint32_t index) { return early.index < index; });
    if (place != early_.end() && place->index == token.index) return progress;
    progress.overflow = early_.size() >= kEarlyTokens;
    if (!progress.overflow) early_.insert(place, token);
    return progress;
  }
  progress.emitted.push_back(emit(spec, token, progress));
  std::size_t used = 0;
  while (!done_ && used < early_.size() && early_[used].index == delivered_.size()) {
    progress.emitted.push_back(emit(spec, early_[used++], progress));
  }
  early_.erase(early_.begin(), done_ ? early_.end() : early_.begin() + static_cast<std::ptrdiff_t>(used));
  return progress;
}

EmitToken ChoiceStream::emit(const RequestSpec& spec, const TokenOut& token, Progress& progress) {
  const TokenId id = token.token.chosen.token;
  delivered_.push_back(id);
  EmitToken out{.choice = choice_, .tokens = {token.token}};

  const bool ends_by_token = token.finish == FinishReason::stop;
  if (!ends_by_token || spec.include_stop_in_output) {
    TextStream::Delta delta = text_.push(id);
    out.text = std::move(delta.text);
    if (delta.stopped) {
      out.finish_reason = "stop";
      out.stop_reason = std::move(delta.matched);
      progress.stopped_here = token.finish == FinishReason::none;
      done_ = true;
      return out;
    }
  }
  if (ends_by_token) {
    out.finish_reason = "stop";
    const bool eos = contains(eos_, id) && !spec.sampling.ignore_eos;
    if (!eos && contains(spec.sampling.stop_token_ids, id)) out.stop_token = id;
  } else if (token.finish == FinishReason::length || delivered_.size() >= spec.sampling.max_tokens) {
    out.finish_reason = "length";
    progress.stopped_here = token.finish == FinishReason::none;
  } else {
    return out;
  }
  out.text += text_.finish();
  done_ = true;
  return out;
}

EmitToken ChoiceStream::end_without_token() {
  done_ = true;
  return {.choice = choice_, .text = text_.finish(), .finish_reason = "length"};
}

void ChoiceStream::check_invariants(const RequestSpec& spec) const {
  CHECK(delivered_.size() <= spec.sampling.max_tokens, "choice {} delivered {} of {}", choice_, delivered_.size(),
        spec.sampling.max_tokens);
  CHECK(early_.size() <= kEarlyTokens);
  CHECK(!done_ || early_.empty());
  for (std::size_t i = 0; i < early_.size(); ++i) {
    CHECK(early_[i].index > (i == 0 ? delivered_.size() : early_[i - 1].index));
  }
}

}  // namespace baton
