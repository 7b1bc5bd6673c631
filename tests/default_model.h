// The real model that some tests and benchmarks read: BATON_MODEL, or the default model where the program itself looks for it.
#pragma once

#include <cstdlib>
#include <string>

namespace baton::test {

inline std::string default_model_path() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string{value == nullptr ? "" : value};
  };
  if (const std::string model = variable("BATON_MODEL"); !model.empty()) return model;
  const std::string cache = variable("XDG_CACHE_HOME");
  return (cache.empty() ? variable("HOME") + "/.cache" : cache) + "/baton/SmolLM2-135M-Instruct.Q4_1.gguf";
}

}  // namespace baton::test
