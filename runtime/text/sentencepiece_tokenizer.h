// SentencePiece-style vocabularies (Llama 2, Mistral, TinyLlama): a run of text is one row of characters, merged so that the
// piece of the highest score comes first; what has no piece is spelled in byte tokens <0xNN>. A blank is U+2581, and one stands
// before each run when the vocabulary says so (the dummy prefix).
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
  bool strips_leading_space() const override { return add_prefix_space_; }

 private:
  struct RunState;
  std::unique_ptr<State> make_state() const override;
  void encode_run(std::string_view run, State& state, std::vector<TokenId>& out) const override;
  void read_merges(const VocabularySource& source, std::unordered_map<std::string, SymbolId>& symbols);
  void merge_and_spell(RunState& state, std::vector<TokenId>& out) const;
  void spell(std::string_view bytes, std::vector<TokenId>& out) const;

  PairMerger merger_;
  std::vector<std::string> bytes_of_extra_;                        // characters that only occur inside pieces
  std::unordered_map<char32_t, SymbolId> symbol_of_character_;
  TokenId token_of_byte_[256];                                     // -1: none
  std::optional<TokenId> unknown_;
  bool add_prefix_space_ = false;
};

}  // namespace baton
