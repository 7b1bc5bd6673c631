#include "runtime/text/vocabulary_tokenizer.h"

#include <algorithm>

#include "runtime/text/nfc.h"
#include "runtime/text/utf8.h"

namespace baton {
namespace {

bool looks_like_a_marker(std::string_view piece) { return piece.starts_with("<|") && piece.ends_with("|>"); }

}  // namespace

VocabularyTokenizer::VocabularyTokenizer(const VocabularySource& source)
    : eos_(source.eos), bos_(source.bos), add_bos_(source.add_bos), add_eos_(source.add_eos), nfc_(source.nfc) {
  entries_.resize(source.pieces.size());
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const std::string& piece = source.pieces[i];
    Entry& entry = entries_[i];
    entry.kind = source.kinds.empty() ? TokenKind::normal : source.kinds[i];
    entry.bytes = piece;
    if (entry.kind == TokenKind::user_defined &&
        (looks_like_a_marker(piece) || token == bos_ || std::find(eos_.begin(), eos_.end(), token) != eos_.end())) {
      entry.kind = TokenKind::control;
    }
    if (entry.kind == TokenKind::user_defined) always_.add(piece, token);
    if (is_special(token) || entry.kind == TokenKind::user_defined) all_.add(piece, token);
  }
}

bool VocabularyTokenizer::is_special(TokenId token) const {
  if (token < 0 || static_cast<std::size_t>(token) >= entries_.size()) return false;
  const TokenKind kind = entries_[static_cast<std::size_t>(token)].kind;
  return kind == TokenKind::control || kind == TokenKind::unknown;
}

std::optional<std::string> VocabularyTokenizer::bytes_of(TokenId token, bool spell_special) const {
  if (token < 0 || static_cast<std::size_t>(token) >= entries_.size()) return std::nullopt;
  if (is_special(token) && !spell_special) return std::string();
  const Entry& entry = entries_[static_cast<std::size_t>(token)];
  return entry.kind == TokenKind::unused ? std::string() : entry.bytes;
}

std::vector<TokenId> VocabularyTokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::string whole;
  if (!is_valid_utf8(text)) {
    whole = repaired(text);
    text = whole;
  }
  std::vector<TokenId> tokens;
  tokens.reserve(text.size() / 3 + 8);
  if (options.add_special && add_bos_ && bos_) tokens.push_back(*bos_);
  const SpecialMatcher& matcher = options.parse_special ? all_ : always_;
  const auto state = make_state();
  for (std::size_t at = 0; at < text.size();) {
    const auto match = matcher.find(text, at);
    const std::size_t end = match ? match->begin : text.size();
    const std::string_view run = text.substr(at, end - at);
    if (nfc_ && may_need_nfc(run)) encode_run(to_nfc(run), *state, tokens);
    else if (!run.empty()) encode_run(run, *state, tokens);
    if (match) tokens.push_back(match->token);
    at = match ? match->end : end;
  }
  if (options.add_special && add_eos_ && !eos_.empty()) tokens.push_back(eos_.front());
  return tokens;
}

}  // namespace baton
