#include "runtime/text/sentencepiece_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/text/utf8.h"

namespace baton {
namespace {

constexpr char32_t kBlank = 0x2581;
constexpr std::string_view kBlankUtf8 = "\xE2\x96\x81";
constexpr std::size_t kLongestPiece = 512;             // a longer one cannot be merged: its cuts would cost its length squared

// "<0x0A>" -> 10
std::optional<std::uint8_t> byte_of_spelling(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : piece.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return static_cast<std::uint8_t>(value);
}

std::string with_spaces(std::string_view piece) {
  std::string text;
  for (std::size_t i = 0; i < piece.size();) {
    const bool blank = piece.substr(i).starts_with(kBlankUtf8);
    text.push_back(blank ? ' ' : piece[i]);
    i += blank ? kBlankUtf8.size() : 1;
  }
  return text;
}

// Tokens by falling score, as ranks; equal scores are equal ranks. A score that is no number comes last.
std::vector<std::uint32_t> ranks_of(const std::vector<float>& scores) {
  const auto order = [&](std::size_t i) {
    return std::isnan(scores[i]) ? -std::numeric_limits<float>::infinity() : scores[i];
  };
  std::vector<std::size_t> by_score(scores.size());
  for (std::size_t i = 0; i < by_score.size(); ++i) by_score[i] = i;
  std::sort(by_score.begin(), by_score.end(), [&](std::size_t a, std::size_t b) { return order(a) > order(b); });
  std::vector<std::uint32_t> ranks(scores.size());
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < by_score.size(); ++i) {
    if (i > 0 && order(by_score[i]) != order(by_score[i - 1])) ++rank;
    ranks[by_score[i]] = rank;
  }
  return ranks;
}

}  // namespace

struct SentencePieceTokenizer::RunState final : State {
  PairMerger::Workspace workspace;
  std::vector<SymbolId> symbols;
};

SentencePieceTokenizer::SentencePieceTokenizer(const VocabularySource& source)
    : VocabularyTokenizer(source), unknown_(source.unknown), split_at_spaces_(source.split_at_spaces) {
  std::fill(std::begin(token_of_byte_), std::end(token_of_byte_), -1);
  Symbols symbols;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    const std::string& piece = source.pieces[i];
    const auto byte = byte_of_spelling(piece);
    if (byte && (entry.kind == TokenKind::byte || source.kinds.empty())) {
      entry.kind = TokenKind::byte;
      entry.bytes.assign(1, static_cast<char>(*byte));
      token_of_byte_[*byte] = static_cast<TokenId>(i);
    } else if (entry.kind == TokenKind::normal) {
      entry.bytes = with_spaces(piece);
      if (is_valid_utf8(piece)) symbols.try_emplace(piece, static_cast<SymbolId>(i));
    }
  }
  read_characters(source, symbols);
  if (source.scores.empty()) read_merges(source, symbols);
  else infer_merges(source, symbols);
}

void SentencePieceTokenizer::read_characters(const VocabularySource& source, Symbols& symbols) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::string_view piece = source.pieces[i];
    const auto found = symbols.find(source.pieces[i]);
    if (found == symbols.end() || found->second != i) continue;
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t begin = at;
      const char32_t character = next_code_point(piece, at);
      const auto next = static_cast<SymbolId>(entries_.size() + bytes_of_extra_.size());
      const std::string text(piece.substr(begin, at - begin));
      const auto [place, fresh] = symbols.try_emplace(text, next);
      if (fresh) bytes_of_extra_.push_back(text);
      symbol_of_character_.try_emplace(character, place->second);
    }
  }
}

// A piece that is no text of its own, a control token's, takes no part.
void SentencePieceTokenizer::read_merges(const VocabularySource& source, const Symbols& symbols) {
  merger_.reserve(source.merges.size());
  for (std::size_t rank = 0; rank < source.merges.size(); ++rank) {
    const auto& [left, right] = source.merges[rank];
    const auto a = symbols.find(left), b = symbols.find(right), both = symbols.find(left + right);
    if (a == symbols.end() || b == symbols.end() || both == symbols.end()) continue;
    merger_.add(a->second, b->second, both->second, static_cast<std::uint32_t>(rank));
  }
}

// A merge makes a piece of two neighbours, so every cut of a piece into two that may stand in a row is a rule.
void SentencePieceTokenizer::infer_merges(const VocabularySource& source, const Symbols& symbols) {
  const std::vector<std::uint32_t> ranks = ranks_of(source.scores);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::string& piece = source.pieces[i];
    const auto found = symbols.find(piece);
    if (found == symbols.end() || found->second != i || piece.size() > kLongestPiece) continue;
    std::size_t at = 0;
    next_code_point(piece, at);
    while (at < piece.size()) {
      const auto left = symbols.find(piece.substr(0, at));
      const auto right = symbols.find(piece.substr(at));
      if (left != symbols.end() && right != symbols.end()) merger_.add(left->second, right->second, found->second, ranks[i]);
      next_code_point(piece, at);
    }
  }
}

std::unique_ptr<VocabularyTokenizer::State> SentencePieceTokenizer::make_state() const { return std::make_unique<RunState>(); }

void SentencePieceTokenizer::encode_run(std::string_view run, bool prefixed, State& state, std::vector<TokenId>& out) const {
  auto& own = static_cast<RunState&>(state);
  own.symbols.clear();
  const auto take = [&](char32_t character, std::string_view bytes) {
    const auto known = symbol_of_character_.find(character);
    if (known != symbol_of_character_.end()) {
      own.symbols.push_back(known->second);
      return;
    }
    merge_and_spell(own, out);           // a character that is in no piece merges with nothing
    spell(bytes, out);
  };
  if (prefixed && run.front() != ' ' && !run.starts_with(kBlankUtf8)) take(kBlank, kBlankUtf8);
  for (std::size_t at = 0; at < run.size();) {
    const std::size_t begin = at;
    const char32_t character = next_code_point(run, at);
    if (split_at_spaces_ && (character == ' ' || character == kBlank)) merge_and_spell(own, out);
    if (character == ' ') take(kBlank, kBlankUtf8);
    else take(character, run.substr(begin, at - begin));
  }
  merge_and_spell(own, out);
}

void SentencePieceTokenizer::merge_and_spell(RunState& state, std::vector<TokenId>& out) const {
  merger_.merge(state.symbols, state.workspace);
  for (const SymbolId symbol : state.symbols) {
    if (symbol < entries_.size()) out.push_back(static_cast<TokenId>(symbol));
    else spell(bytes_of_extra_[symbol - entries_.size()], out);
  }
  state.symbols.clear();
}

void SentencePieceTokenizer::spell(std::string_view bytes, std::vector<TokenId>& out) const {
  const bool all = std::all_of(bytes.begin(), bytes.end(),
                               [&](char byte) { return token_of_byte_[static_cast<std::uint8_t>(byte)] >= 0; });
  if (!all && unknown_) {
    out.push_back(*unknown_);
    return;
  }
  for (const char byte : bytes) {
    const TokenId token = token_of_byte_[static_cast<std::uint8_t>(byte)];
    if (token >= 0) out.push_back(token);
  }
}

}  // namespace baton
