#include "runtime/text/text_stream.h"

#include <algorithm>

#include "runtime/text/tokenizer.h"

namespace baton {

TextStream::TextStream(std::shared_ptr<const Tokenizer> tokenizer, Options options)
    : tokenizer_(std::move(tokenizer)), options_(std::move(options)) {
  std::erase(options_.stop, std::string());
  for (const std::string& stop : options_.stop) {
    Watch watch{std::vector<std::uint32_t>(stop.size() + 1, 0)};
    for (std::size_t i = 1, length = 0; i < stop.size(); ++i) {
      while (length > 0 && stop[i] != stop[length]) length = watch.fallback[length];
      if (stop[i] == stop[length]) ++length;
      watch.fallback[i + 1] = static_cast<std::uint32_t>(length);
    }
    watches_.push_back(std::move(watch));
  }
}

TextStream::Delta TextStream::push(TokenId token) {
  if (stopped_) return {};
  const auto found = tokenizer_->bytes_of(token, !options_.skip_special);
  if (!found || found->empty()) return {};
  std::string_view bytes = *found;
  const bool blank = at_start_ && tokenizer_->strips_leading_space() && !options_.keep_leading_space &&
                     !tokenizer_->is_special(token) && bytes.front() == ' ';
  at_start_ = false;
  if (blank) bytes.remove_prefix(1);
  std::string text;
  decoder_.push(bytes, text);
  return take(text);
}

std::string TextStream::finish() {
  if (stopped_) return {};
  std::string text;
  decoder_.finish(text);
  Delta last = take(text);
  last.text += held_;
  held_.clear();
  stopped_ = true;
  return std::move(last.text);
}

TextStream::Delta TextStream::take(std::string_view text) {
  Delta delta;
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::size_t match = 0;                   // length of the longest stop string complete here
    for (std::size_t i = 0; i < watches_.size(); ++i) {
      Watch& watch = watches_[i];
      const std::string& stop = options_.stop[i];
      while (watch.matched == stop.size() || (watch.matched > 0 && stop[watch.matched] != text[at])) {
        watch.matched = watch.fallback[watch.matched];
      }
      if (stop[watch.matched] == text[at]) ++watch.matched;
      if (watch.matched != stop.size() || stop.size() <= match) continue;
      match = stop.size();
      delta.matched = stop;
    }
    if (match == 0) continue;
    held_ += text.substr(0, at + 1);
    delta.text = held_.substr(0, held_.size() - (options_.include_stop ? 0 : match));
    delta.stopped = stopped_ = true;
    held_.clear();
    return delta;
  }
  held_ += text;
  std::size_t keep = 0;
  for (const Watch& watch : watches_) keep = std::max(keep, watch.matched);
  // A stop string may begin inside a character; the text is cut before that character.
  std::size_t deliver = held_.size() - keep;
  while (deliver > 0 && deliver < held_.size() && (static_cast<unsigned char>(held_[deliver]) & 0xC0) == 0x80) --deliver;
  delta.text = held_.substr(0, deliver);
  held_.erase(0, deliver);
  return delta;
}

}  // namespace baton
