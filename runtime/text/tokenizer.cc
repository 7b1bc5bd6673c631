#include "runtime/text/tokenizer.h"

namespace baton {

std::string Tokenizer::decode(std::span<const TokenId> tokens, bool spell_special) const {
  std::string text;
  bool strip = strips_leading_space();
  for (const TokenId token : tokens) {
    const auto bytes = bytes_of(token, spell_special);
    if (!bytes || bytes->empty()) continue;
    const bool blank = strip && !is_special(token) && bytes->front() == ' ';
    text.append(*bytes, blank ? 1 : 0, std::string::npos);
    strip = false;
  }
  return text;
}

}  // namespace baton
