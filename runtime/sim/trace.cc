#include "runtime/sim/trace.h"

#include <charconv>
#include <fstream>
#include <iterator>

#include <spdlog/fmt/fmt.h>

namespace baton::sim {
namespace {

template <class T>
bool read(std::string_view word, T& value) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc{} && end == word.data() + word.size();
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t start = 0; start <= line.size();) {
    const std::size_t comma = std::min(line.find(',', start), line.size());
    words.push_back(line.substr(start, comma - start));
    start = comma + 1;
  }
  return words;
}

}  // namespace

Result<Trace> parse_trace(std::string_view text, const std::string& name) {
  Trace trace;
  std::size_t number = 0;
  for (std::size_t start = 0; start < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const auto words = split(text.substr(start, end - start));
    start = end + 1;
    if (number == 0) continue;
    TraceRequest request;
    if (words.size() != 7 || !read(words[3], request.arrival_s) || !read(words[5], request.prompt_tokens) ||
        !read(words[6], request.output_tokens)) {
      return Error{ErrorCode::invalid_argument, Scope::request, fmt::format("{}:{}: not a row of a SplitwiseSim trace", name, number + 1)};
    }
    request.id = words[0];
    trace.push_back(std::move(request));
  }
  return trace;
}

Result<Trace> load_trace(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::io_error, Scope::request, fmt::format("{} cannot be read", path)};
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_trace(text, path);
}

}  // namespace baton::sim
