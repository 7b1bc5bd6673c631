#include "runtime/text/vocabulary_tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "runtime/text/nfc.h"
#include "runtime/text/utf8.h"

namespace baton {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";                 // U+2581

bool looks_like_a_marker(std::string_view piece) { return piece.starts_with("<|") && piece.ends_with("|>"); }

}  // namespace

VocabularyTokenizer::VocabularyTokenizer(const VocabularySource& source)
    : eos_(source.eos), bos_(source.bos), add_bos_(source.add_bos), add_eos_(source.add_eos), nfc_(source.nfc),
      prepend_space_(source.prepend_space), marks_spaces_(source.marks_spaces), prefix_space_(source.prefix_space) {
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
  }
  add_matches(source);
}

void VocabularyTokenizer::add_matches(const VocabularySource& source) {
  std::unordered_map<TokenId, VocabularySource::AddedToken> added;
  for (const auto& how : source.added) added.insert_or_assign(how.token, how);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const bool user_defined = entries_[i].kind == TokenKind::user_defined;
    if (!is_special(token) && !user_defined) continue;
    const std::string& piece = source.pieces[i];
    spellings_.add(piece, token, {});
    const auto found = added.find(token);
    const auto how = found == added.end() ? VocabularySource::AddedToken{} : found->second;
    for (Matchers* matchers : {&all_, &always_}) {
      if (matchers == &always_ && !user_defined) continue;
      SpecialMatcher& matcher = how.normalized ? matchers->normalised : matchers->raw;
      matcher.add(how.normalized ? normalised(piece) : piece, token, {how.strip_left, how.strip_right});
    }
  }
}

std::string VocabularyTokenizer::normalised(std::string_view text) const {
  std::string out = nfc_ && may_need_nfc(text) ? to_nfc(text) : std::string(text);
  if (prepend_space_ && !out.empty()) out.insert(0, 1, ' ');
  if (!marks_spaces_) return out;
  std::string marked;
  marked.reserve(out.size() + out.size() / 2);
  for (const char c : out) c == ' ' ? marked += kBlankMark : marked += c;
  return marked;
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
  const Matchers& matchers = options.parse_special ? all_ : always_;
  const auto state = make_state();
  for (std::size_t at = 0; at < text.size();) {
    const auto match = matchers.raw.find(text, at);
    const std::size_t end = match ? match->begin : text.size();
    const bool begins_text = at == 0 && !options.goes_on;
    if (end > at) encode_section(text.substr(at, end - at), begins_text, matchers.normalised, *state, tokens);
    if (match) tokens.push_back(match->token);
    at = match ? match->end : end;
  }
  if (options.add_special && add_eos_ && !eos_.empty()) tokens.push_back(eos_.front());
  return tokens;
}

void VocabularyTokenizer::encode_section(std::string_view section, bool begins_text, const SpecialMatcher& matcher, State& state,
                                         std::vector<TokenId>& out) const {
  std::string own;
  if (prepend_space_ || marks_spaces_ || (nfc_ && may_need_nfc(section))) section = own = normalised(section);
  for (std::size_t at = 0; at < section.size();) {
    const auto match = matcher.find(section, at);
    const std::size_t end = match ? match->begin : section.size();
    const bool prefixed = prefix_space_ == PrefixSpace::always || (prefix_space_ == PrefixSpace::first && begins_text && at == 0);
    if (end > at) encode_run(section.substr(at, end - at), prefixed, state, out);
    if (match) out.push_back(match->token);
    at = match ? match->end : end;
  }
}

}  // namespace baton
