#include <fstream>

#include <spdlog/fmt/fmt.h>

#include "actors/cli/simulate_flags.h"

namespace baton::cli {

Status write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) return Error{ErrorCode::io_error, Scope::request,
                             fmt::format("{} could not be written: is its folder there, and writable?", path)};
  return ok();
}

}  // namespace baton::cli
