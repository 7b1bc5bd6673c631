// Mooncake's and DistServe's traces: an object for each request, one a line or in one list.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "runtime/base/nearest.h"
#include "runtime/sim/json_scan.h"
#include "runtime/sim/trace_formats.h"

namespace baton::sim {
namespace {

struct Keys {
  std::string_view time, prompt, output;
  int time_decimals;                       // of a second, in the file's unit
  std::string_view time_unit;
  std::string_view blocks;                 // empty: the format has none
};
constexpr Keys kMooncake{"timestamp", "input_length", "output_length", 3, "milliseconds", "hash_ids"};
constexpr Keys kDistServe{"start_time", "prompt_len", "output_len", 0, "seconds", ""};

class RequestReader {
 public:
  RequestReader(const Keys& keys, std::string_view file) : keys_(keys), file_(file) {}

  // One object, and its place behind those before it.
  Status read(JsonScan& scan) {
    TraceRequest request{.id = std::to_string(trace.size())};
    TracePlace place{file_, scan.line()};
    std::array<bool, 4> seen{};
    std::vector<std::string> unknown;
    if (!scan.open('{')) return not_json(scan, "an object {...} for each request");
    while (scan.more('}')) {
      const std::string_view key = scan.key();
      place.line = scan.line();
      const std::size_t which = index_of(key);
      if (which < 4 && seen[which]) return place.error(fmt::format("{} is given twice", shown(key)));
      if (which < 4) seen[which] = true;
      if (const Status value = read_value(which, key, scan, place, request); !value) return value;
      if (which == 4) unknown.emplace_back(key);
    }
    if (scan.failed()) return not_json(scan, "a JSON object");
    for (std::size_t i = 0; i < 3; ++i) {
      if (!seen[i]) return place.error(missing(i, unknown));
    }
    return add(std::move(request), place);
  }

  Error not_json(const JsonScan& scan, std::string_view wanted) const {
    return TracePlace{file_, scan.line()}.error(fmt::format("this is not JSON; the trace has {}", wanted));
  }

  Trace trace;

 private:
  std::string_view name(std::size_t which) const {
    return std::array{keys_.time, keys_.prompt, keys_.output, keys_.blocks}[which];
  }
  std::size_t index_of(std::string_view key) const {
    std::size_t which = 0;
    while (which < 4 && (name(which).empty() || name(which) != key)) ++which;
    return which;
  }

  Status read_value(std::size_t which, std::string_view key, JsonScan& scan, const TracePlace& place, TraceRequest& request) {
    if (which == 3) return read_blocks(scan, place, request);
    if (which == 4) return scan.skip_value() ? ok() : Status{not_json(scan, "a JSON object")};
    const std::string_view word = scan.scalar();
    if (which == 0) {
      const auto at = seconds_of(word, keys_.time_decimals);
      if (!at) return place.not_a_time(key, word, keys_.time_unit);
      request.arrival_s = *at;
      return ok();
    }
    const std::uint32_t least = which == 1 ? 1 : 0;
    const auto count = whole_number(word);
    if (!count || *count < least || *count > kMostTraceTokens) return place.not_whole(key, word, least, kMostTraceTokens);
    (which == 1 ? request.prompt_tokens : request.output_tokens) = static_cast<std::uint32_t>(*count);
    return ok();
  }

  Status read_blocks(JsonScan& scan, const TracePlace& place, TraceRequest& request) {
    ids_.clear();
    if (!scan.open('[')) return place.error(fmt::format("{} must be a list [...] of block ids", keys_.blocks));
    while (scan.more(']')) {
      const std::string_view word = scan.scalar();
      std::uint64_t id = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
      if (error != std::errc{} || end != word.data() + word.size()) {
        return place.error(fmt::format("a block id of {} must be a whole number from 0 to 2^64 - 1, not {}", keys_.blocks, shown(word)));
      }
      ids_.push_back(id);
    }
    if (scan.failed()) return not_json(scan, "a JSON object");
    request.blocks.assign(ids_.begin(), ids_.end());
    return ok();
  }

  std::string missing(std::size_t which, const std::vector<std::string>& unknown) const {
    const std::string near = nearest_word(name(which), unknown);
    const std::string meant = near.empty() ? "" : fmt::format(" (is {} meant to be it?)", shown(near));
    return fmt::format("request {} has no {}{}; each has {}, {} and {}", trace.size(), name(which), meant, keys_.time, keys_.prompt,
                       keys_.output);
  }

  Status add(TraceRequest request, const TracePlace& place) {
    if (!trace.empty() && request.arrival_s < trace.back().arrival_s) {
      return place.error(fmt::format("request {} arrives before the one above it; sort the requests by {}", trace.size(), keys_.time));
    }
    if (request.blocks.size() > request.prompt_tokens) {
      return place.error(fmt::format("request {} has {} blocks for {} tokens; a block holds at least one", trace.size(),
                                     request.blocks.size(), request.prompt_tokens));
    }
    trace.push_back(std::move(request));
    return ok();
  }

  const Keys& keys_;
  std::string_view file_;
  std::vector<std::uint64_t> ids_;         // of one request, so that its own list is allocated once and to size
};

}  // namespace

Result<Trace> parse_mooncake_jsonl(std::string_view text, std::string_view file) {
  RequestReader reader(kMooncake, file);
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::string_view row = take_line(text);
    JsonScan scan(row, line);
    if (scan.at_end()) continue;
    if (const Status read = reader.read(scan); !read) return read.error();
    if (!scan.at_end()) return TracePlace{file, line}.error(fmt::format("one request a line, but {} follows it", shown(scan.rest())));
  }
  return std::move(reader.trace);
}

Result<Trace> parse_distserve_json(std::string_view text, std::string_view file) {
  RequestReader reader(kDistServe, file);
  JsonScan scan(text);
  if (!scan.open('[')) return reader.not_json(scan, "a list [...] of requests");
  while (scan.more(']')) {
    if (const Status read = reader.read(scan); !read) return read.error();
  }
  if (scan.failed()) return reader.not_json(scan, "a list [...] of requests");
  const bool followed = !scan.at_end();
  const TracePlace place{file, scan.line()};
  if (followed) return place.error(fmt::format("the list of requests ends, but {} follows it", shown(scan.rest())));
  if (reader.trace.empty()) return place.error("an empty list; a trace has at least one request");
  return std::move(reader.trace);
}

}  // namespace baton::sim
