#include "actors/run_directory.h"

#include <spdlog/fmt/fmt.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

namespace baton {

Result<RunDirectory> RunDirectory::make() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  std::error_code error;
  const bool usable = runtime != nullptr && *runtime != '\0' && std::filesystem::is_directory(runtime, error);
  std::string path = std::string{usable ? runtime : "/tmp"} + "/baton-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {             // 0700
    return Error{ErrorCode::io_error, Scope::instance, fmt::format("cannot make a run directory {}: {}", path, std::strerror(errno))};
  }
  return RunDirectory{path};
}

RunDirectory::RunDirectory(RunDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}

RunDirectory::~RunDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Status RunDirectory::write(const std::string& name, const std::string& text) const {
  std::ofstream file(path_ + "/" + name, std::ios::binary);
  file << text << std::flush;
  if (file) return ok();
  return Error{ErrorCode::io_error, Scope::instance, fmt::format("cannot write {}/{}: disk full?", path_, name)};
}

}  // namespace baton
