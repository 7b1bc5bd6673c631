#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "runtime/model/loaded_model.h"

namespace baton {

std::uint32_t ModelSpec::longest_context() const { return sliding_window == 0 ? context : std::min(context, sliding_window); }

Result<std::uint32_t> choose_length(const ModelSpec& spec, std::uint32_t asked) {
  const std::uint32_t most = spec.longest_context();
  if (asked <= most) return asked == 0 ? most : asked;
  return Error{ErrorCode::invalid_argument, Scope::instance,
               fmt::format("a length of {} tokens is more than the model's {} of {}: give --max-model-len (max_model_len in a cluster "
                           "file) at most that, or leave it out", asked, most < spec.context ? "sliding window" : "context", most)};
}

}  // namespace baton
