#include "runtime/sim/trace.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <initializer_list>

#include "runtime/model/mapped_file.h"
#include "runtime/sim/trace_formats.h"

namespace baton::sim {
namespace {

constexpr std::string_view kKnownFormats =
    "a trace is Azure CSV (TIMESTAMP,ContextTokens,GeneratedTokens), SplitwiseSim CSV "
    "(request_id,arrival_timestamp,prompt_size,token_size), Mooncake JSONL (timestamp, input_length, output_length, hash_ids) or "
    "DistServe JSON (a list of start_time, prompt_len, output_len)";

bool has_any(std::string_view header, std::initializer_list<std::string_view> columns) {
  return std::ranges::any_of(columns, [&](std::string_view column) { return header.find(column) != std::string_view::npos; });
}

}  // namespace

Result<Trace> parse_trace(std::string_view text, const std::string& name) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return TracePlace{name}.error(fmt::format("there is nothing in it; {}", kKnownFormats));
  if (text[first] == '[') return parse_distserve_json(text, name);
  if (text[first] == '{') return parse_mooncake_jsonl(text, name);
  std::string_view rest = text;
  const std::string_view header = take_line(rest);
  if (has_any(header, {"TIMESTAMP", "ContextTokens", "GeneratedTokens"})) return parse_azure_csv(text, name);
  if (has_any(header, {"arrival_timestamp", "prompt_size", "token_size", "request_id"})) return parse_splitwise_csv(text, name);
  return TracePlace{name}.error(fmt::format("{} begins no trace that is known; {}", shown(header), kKnownFormats));
}

Result<Trace> load_trace(const std::string& path) {
  const auto file = MappedFile::open(path);
  if (!file && file.error().code == ErrorCode::invalid_file) return parse_trace("", path);      // an empty file cannot be mapped
  if (!file) return file.error();
  const auto bytes = (*file)->bytes();
  return parse_trace({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

}  // namespace baton::sim
