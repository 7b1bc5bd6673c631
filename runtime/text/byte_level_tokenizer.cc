#include "runtime/text/byte_level_tokenizer.h"

#include <algorithm>

#include "runtime/text/byte_alphabet.h"
#include "runtime/text/utf8.h"

namespace baton {
namespace {

// Surrogates (ED A0..BF xx) can stand in repaired text, but not in a PCRE2 subject. A private-use character of the same length
// is neither letter, number nor space, as they are.
void hide_surrogates(std::string_view text, std::string& out) {
  out.assign(text);
  for (std::size_t i = 0; i + 2 < out.size(); ++i) {
    if (out[i] == '\xED' && static_cast<unsigned char>(out[i + 1]) >= 0xA0) out.replace(i, 3, "\xEE\x80\x80");
  }
}

}  // namespace

struct ByteLevelTokenizer::RunState final : State {
  PatternSearch search;
  PairMerger::Workspace workspace;
  std::vector<TextSpan> pieces;
  std::vector<SymbolId> symbols;
  std::string prefixed;
  std::string subject;
};

ByteLevelTokenizer::ByteLevelTokenizer(const VocabularySource& source, PreTokenizer pre_tokenizer)
    : VocabularyTokenizer(source), pre_tokenizer_(std::move(pre_tokenizer)) {
  SymbolOfPiece symbols;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.kind == TokenKind::normal || entry.kind == TokenKind::byte) {
      symbols[source.pieces[i]] = static_cast<SymbolId>(i);
      if (auto bytes = bytes_of_piece(source.pieces[i])) entry.bytes = std::move(*bytes);
    }
  }
  read_merges(source, symbols);
  find_whole_pieces(source.ignore_merges);
}

void ByteLevelTokenizer::read_merges(const VocabularySource& source, SymbolOfPiece& symbols) {
  const auto symbol_of = [&](const std::string& piece) {
    const auto next = static_cast<SymbolId>(entries_.size() + bytes_of_extra_.size());
    const auto [place, fresh] = symbols.try_emplace(piece, next);
    if (fresh) bytes_of_extra_.push_back(bytes_of_piece(piece).value_or(""));
    return place->second;
  };
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    symbol_of_byte_[byte] = symbol_of(piece_of_bytes({&character, 1}));
  }
  merger_.reserve(source.merges.size());
  for (std::size_t rank = 0; rank < source.merges.size(); ++rank) {
    const auto& [left, right] = source.merges[rank];
    if (left.empty() || right.empty()) continue;
    const SymbolId a = symbol_of(left);
    const SymbolId b = symbol_of(right);
    merger_.add(a, b, symbol_of(left + right), static_cast<std::uint32_t>(rank));
  }
}

void ByteLevelTokenizer::find_whole_pieces(bool ignore_merges) {
  PairMerger::Workspace workspace;
  std::vector<SymbolId> symbols;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if ((entry.kind != TokenKind::normal && entry.kind != TokenKind::byte) || entry.bytes.empty()) continue;
    if (!ignore_merges) {
      symbols.clear();
      for (const char byte : entry.bytes) symbols.push_back(symbol_of_byte_[static_cast<std::uint8_t>(byte)]);
      merger_.merge(symbols, workspace);
      if (symbols.size() != 1 || symbols.front() != i) continue;
    }
    whole_[entry.bytes] = static_cast<TokenId>(i);
  }
}

std::unique_ptr<VocabularyTokenizer::State> ByteLevelTokenizer::make_state() const { return std::make_unique<RunState>(); }

void ByteLevelTokenizer::encode_run(std::string_view run, bool prefixed, State& state, std::vector<TokenId>& out) const {
  auto& own = static_cast<RunState&>(state);
  if (prefixed && run.front() != ' ') {
    own.prefixed.assign(1, ' ');
    own.prefixed += run;
    run = own.prefixed;
  }
  std::string_view subject = run;
  if (run.find('\xED') != std::string_view::npos) {
    hide_surrogates(run, own.subject);
    subject = own.subject;
  }
  own.pieces.clear();
  pre_tokenizer_.split(subject, own.search, own.pieces);
  for (const TextSpan piece : own.pieces) encode_piece(run.substr(piece.begin, piece.end - piece.begin), own, out);
}

void ByteLevelTokenizer::encode_piece(std::string_view bytes, RunState& state, std::vector<TokenId>& out) const {
  if (const auto whole = whole_.find(bytes); whole != whole_.end()) {
    out.push_back(whole->second);
    return;
  }
  state.symbols.clear();
  for (const char byte : bytes) state.symbols.push_back(symbol_of_byte_[static_cast<std::uint8_t>(byte)]);
  merger_.merge(state.symbols, state.workspace);
  for (const SymbolId symbol : state.symbols) {
    if (symbol < entries_.size()) {
      out.push_back(static_cast<TokenId>(symbol));
      continue;
    }
    // No token of its own: byte by byte, without the bytes that the vocabulary cannot spell.
    for (const char byte : bytes_of_extra_[symbol - entries_.size()]) {
      const SymbolId single = symbol_of_byte_[static_cast<std::uint8_t>(byte)];
      if (single < entries_.size()) out.push_back(static_cast<TokenId>(single));
    }
  }
}

}  // namespace baton
