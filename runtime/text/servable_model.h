// Can a model be served? Found out before a weight is read and anything is started: the file, its vocabulary, the length asked for
// and the chat template. What `baton serve` refuses by, and `baton doctor` reports.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/base/result.h"
#include "runtime/model/loaded_model.h"

namespace baton {

struct ServableModel {
  ModelSpec spec;
  std::uint64_t weight_bytes = 0;        // of all tensors, as in the file; about what an instance holds in memory
  std::optional<Error> no_chat;          // why no chat template can be chosen; a name given by hand may do
};

// `chat_template`: a name of chat_template.h, or empty; `max_model_len`: tokens, 0: whatever the model can. Errors: load_model's,
// make_tokenizer's, choose_length's.
Result<ServableModel> check_servable(const std::string& path, const std::string& chat_template, std::uint32_t max_model_len);

}  // namespace baton
