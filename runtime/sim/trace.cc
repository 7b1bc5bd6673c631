#include "runtime/sim/trace.h"

#include <fstream>

#include <nlohmann/json.hpp>

namespace baton::sim {

Result<Trace> load_trace(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open()) return Error{ErrorCode::io_error, Scope::request, path + " could not be read"};
  return parse_trace(text, path);
}

Result<Trace> parse_trace(std::string_view text, const std::string& name) {
  const auto rows = nlohmann::json::parse(text, nullptr, false);
  if (!rows.is_array()) return Error{ErrorCode::invalid_argument, Scope::request, name + ":1: no list"};
  Trace trace;
  for (const auto& row : rows) {
    trace.push_back({.id = std::to_string(trace.size()), .arrival_s = row["start_time"], .prompt_tokens = row["prompt_len"],
                     .output_tokens = row["output_len"]});
  }
  return trace;
}

}  // namespace baton::sim
