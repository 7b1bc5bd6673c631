// Where the default model is kept: ${XDG_CACHE_HOME:-~/.cache}/baton/. examples/quickstart.sh puts it there.
#pragma once

#include <cstdlib>
#include <string>

namespace baton::cli {

inline std::string default_model_path() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string base = cache && *cache ? cache : std::string(home ? home : ".") + "/.cache";
  return base + "/baton/SmolLM2-135M-Instruct.Q4_1.gguf";
}

}  // namespace baton::cli
