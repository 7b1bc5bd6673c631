// Cuts text into the pieces inside which byte-level BPE may merge: by passes, each splitting the pieces that the one before left.
// In a pass every match is a piece, and so is every gap between two. Known by GGUF's names (tokenizer.ggml.pre), or given by
// tokenizer.json as splits.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/model/loaded_model.h"
#include "runtime/text/pattern.h"

namespace baton {

class PreTokenizer {
 public:
  // `source.splits` where there are any, else by name; an absent name is "default", as in llama.cpp.
  // Errors: unsupported (a name, with those that are known), invalid_file (a pattern).
  static Result<PreTokenizer> make(const VocabularySource& source);

  // Appends the pieces of `text`, in order and without gaps. Text as PatternSearch::find takes it.
  void split(std::string_view text, PatternSearch& search, std::vector<TextSpan>& pieces) const;

  static std::vector<std::string_view> names();

 private:
  explicit PreTokenizer(std::vector<Pattern> passes) : passes_(std::move(passes)) {}
  std::vector<Pattern> passes_;
};

}  // namespace baton
