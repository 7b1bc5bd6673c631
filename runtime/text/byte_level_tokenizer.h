// Byte-level BPE (GPT-2 and after): text is cut by a pre-tokeniser, a piece's bytes are merged by rank. A piece that is a token
// whose own bytes merge to it is looked up whole: the same answer in one step, for most words.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/text/pair_merger.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/vocabulary_tokenizer.h"

namespace baton {

class ByteLevelTokenizer final : public VocabularyTokenizer {
 public:
  ByteLevelTokenizer(const VocabularySource& source, PreTokenizer pre_tokenizer);       // source as make_tokenizer checked it

 private:
  struct RunState;
  struct BytesHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view bytes) const { return std::hash<std::string_view>{}(bytes); }
  };
  using SymbolOfPiece = std::unordered_map<std::string, SymbolId>;

  std::unique_ptr<State> make_state() const override;
  void encode_run(std::string_view run, bool prefixed, State& state, std::vector<TokenId>& out) const override;
  void encode_piece(std::string_view bytes, RunState& state, std::vector<TokenId>& out) const;
  void read_merges(const VocabularySource& source, SymbolOfPiece& symbols);
  void find_whole_pieces(bool ignore_merges);

  PreTokenizer pre_tokenizer_;
  PairMerger merger_;
  // Symbols below vocabulary() are tokens; those above are what merges make on the way without a token of their own.
  std::vector<std::string> bytes_of_extra_;
  SymbolId symbol_of_byte_[256] = {};
  std::unordered_map<std::string, TokenId, BytesHash, std::equal_to<>> whole_;
};

}  // namespace baton
