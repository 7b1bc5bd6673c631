#include "actors/user_paths.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace baton {

std::string home_directory() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return home;
  const passwd* user = ::getpwuid(::getuid());
  return user == nullptr || user->pw_dir == nullptr ? "" : user->pw_dir;
}

std::string expand_home(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const std::string home = home_directory();
  return home.empty() ? path : home + path.substr(1);
}

std::string default_model_path() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const std::string base = cache != nullptr && *cache != '\0' ? cache : home_directory() + "/.cache";
  return base + "/baton/SmolLM2-135M-Instruct.Q4_1.gguf";
}

Result<ClusterConfig> load_cluster_file(const std::string& path) {
  auto cluster = load_cluster_config(expand_home(path));
  if (!cluster) return cluster.error();
  SecurityConfig& security = cluster->security;
  for (std::string* file : {&cluster->model, &security.ca, &security.certificate, &security.key}) *file = expand_home(*file);
  for (NodeConfig& node : cluster->nodes) node.model = expand_home(node.model);
  return cluster;
}

}  // namespace baton
