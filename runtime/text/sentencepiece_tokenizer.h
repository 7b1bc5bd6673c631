// SentencePiece-style vocabularies (Llama 2, Mistral, TinyLlama): a run of text is one row of characters, merged so that the
// piece of the highest score comes first, or by rank where a tokenizer.json lists the merges; what has no piece is spelled in byte
// tokens <0xNN>. A blank is U+2581, and one stands before the text or a run of it when the vocabulary says so.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/text/pair_merger.h"
#include "runtime/text/vocabulary_tokenizer.h"

namespace baton {

class SentencePieceTokenizer final : public VocabularyTokenizer {
 public:
  explicit SentencePieceTokenizer(const VocabularySource& source);                      // as make_tokenizer checked it
  bool strips_leading_space() const override { return adds_spaces(); }

 private:
  struct RunState;
  std::unique_ptr<State> make_state() const override;
  void encode_run(std::string_view run, bool prefixed, State& state, std::vector<TokenId>& out) const override;
  using Symbols = std::unordered_map<std::string, SymbolId>;
  void read_characters(const VocabularySource& source, Symbols& symbols);
  void read_merges(const VocabularySource& source, const Symbols& symbols);
  void infer_merges(const VocabularySource& source, const Symbols& symbols);
  void merge_and_spell(RunState& state, std::vector<TokenId>& out) const;
  void spell(std::string_view bytes, std::vector<TokenId>& out) const;

  PairMerger merger_;
  std::vector<std::string> bytes_of_extra_;                        // characters that only occur inside pieces
  std::unordered_map<char32_t, SymbolId> symbol_of_character_;
  TokenId token_of_byte_[256];                                     // -1: none
  std::optional<TokenId> unknown_;
  bool split_at_spaces_ = false;
};

}  // namespace baton
