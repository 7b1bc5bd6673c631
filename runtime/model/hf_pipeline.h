// What tokenizer.json does around its BPE model: normalizer, pre_tokenizer, decoder and post_processor, component by component.
// One that is not known is refused by name: a tokenizer that is nearly right makes a model that is quietly wrong.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/model/loaded_model.h"

namespace baton {

struct HfPipeline {
  std::vector<VocabularySource::Split> splits;
  bool byte_level = false;               // bytes are spelled in the byte alphabet
  bool blank_marks = false;              // SentencePiece's habit: a blank is U+2581
  bool prepend_space = false;            // as in VocabularySource, and so the next three
  bool marks_spaces = false;
  VocabularySource::PrefixSpace prefix_space = VocabularySource::PrefixSpace::never;
  bool split_at_spaces = false;
  bool nfc = false;                      // Unicode normalisation form C first
  std::vector<std::string> before;       // special tokens put before a text, and after it
  std::vector<std::string> after;
  bool has_template = false;             // `before` and `after` are stated by the file
};

Result<HfPipeline> read_hf_pipeline(const nlohmann::json& tokenizer, const std::string& file);

}  // namespace baton
