// Paths as their user means them: `~`, the cache, and a cluster file whose paths may begin with `~`.
#pragma once

#include <string>

#include "runtime/base/result.h"
#include "runtime/config/cluster_config.h"

namespace baton {

// $HOME; where a service has none, what the user database says. Empty: neither.
std::string home_directory();

// `~` and `~/...` from the home directory; every other path as it is.
std::string expand_home(const std::string& path);

// ${XDG_CACHE_HOME:-~/.cache}/baton/SmolLM2-135M-Instruct.Q4_1.gguf
std::string default_model_path();

// load_cluster_config, with `~` expanded in every path.
Result<ClusterConfig> load_cluster_file(const std::string& path);

}  // namespace baton
