// What both readers make of a model, before it is put behind LoadedModel; and the checks that hold whatever the container is.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/model/gguf_file.h"
#include "runtime/model/loaded_model.h"
#include "runtime/model/tensor_table.h"

namespace baton {

struct ModelParts {
  ModelSpec spec;
  ModelTensors tensors;
  VocabularySource vocabulary;
  std::string chat_template;
  std::vector<std::shared_ptr<const void>> owners;   // of the memory that `tensors` points into
};

// Ranges and divisibility of the hyper-parameters. `file` is named in errors.
Status check_spec(const ModelSpec& spec, const std::string& file);

// `bytes` aligned to 8; the parts point into it. For tests, fuzzing and load_model.
Result<ModelParts> read_gguf_model(std::span<const std::byte> bytes, const std::string& file);
Result<VocabularySource> read_gguf_vocabulary(const GgufFile& file);

// Adds to `vocabulary.eos` the control tokens that are known to end a sequence or a turn by their spelling.
void add_known_end_tokens(VocabularySource& vocabulary);

std::unique_ptr<LoadedModel> make_loaded_model(ModelParts parts, const LoadOptions& options);

}  // namespace baton
