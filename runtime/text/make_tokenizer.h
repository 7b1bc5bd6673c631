// A tokenizer from a model's own vocabulary.
#pragma once

#include <memory>

#include "runtime/base/result.h"
#include "runtime/model/loaded_model.h"
#include "runtime/text/tokenizer.h"

namespace baton {

// Errors: unsupported (no vocabulary, or a pre-tokeniser or kind that is not known, by name), invalid_file (tables that do not
// fit each other). `source` may come from a hostile file.
Result<std::shared_ptr<const Tokenizer>> make_tokenizer(const VocabularySource& source);

}  // namespace baton
