// Azure's and SplitwiseSim's traces: a header, then rows of as many fields, of which three or four matter.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_set>

#include "runtime/base/nearest.h"
#include "runtime/sim/trace_formats.h"

namespace baton::sim {
namespace {

// Rows of a CSV, of which only some columns are looked at: fields[i] is that of wanted[i]. Fields are never quoted in these formats.
template <std::size_t kWanted>
class Table {
 public:
  Table(std::string_view text, std::string_view file) : place{file, 0}, rest_(text) {}

  TracePlace place;                                      // of the row that was read last
  std::array<std::string_view, kWanted> fields{};        // of it; empty for a column that is not there

  // `needed` of the wanted columns, the first ones, must be there.
  Status read_header(const std::array<std::string_view, kWanted>& wanted, std::size_t needed) {
    const std::string_view header = next_line();
    std::vector<std::string> names;
    for_each_field(header, [&](std::string_view name) { names.emplace_back(trimmed(name)); });
    columns_ = names.size();
    for (std::size_t i = 0; i < kWanted; ++i) {
      const auto found = std::ranges::find(names, wanted[i]);
      if (found == names.end() && i < needed) {
        const std::string near = nearest_word(wanted[i], names);
        return place.error(fmt::format("there is no column {}{}; the header has {}", wanted[i],
                                       near.empty() ? "" : fmt::format(" (is {} meant to be it?)", shown(near)), shown(header)));
      }
      at_[i] = static_cast<std::size_t>(found - names.begin());
    }
    return ok();
  }

  // False at the end. Blank lines are passed over.
  Result<bool> next() {
    std::string_view line;
    do {
      if (rest_.empty()) return false;
      line = next_line();
    } while (trimmed(line).empty());
    std::size_t column = 0;
    for_each_field(line, [&](std::string_view field) {
      for (std::size_t i = 0; i < kWanted; ++i) {
        if (at_[i] == column) fields[i] = trimmed(field);
      }
      ++column;
    });
    if (column != columns_) {
      return place.error(fmt::format("{} fields where the header names {}: {}", column, columns_, shown(line)));
    }
    return true;
  }

  Result<std::uint32_t> tokens(std::size_t i, std::string_view column, std::uint32_t least) const {
    const auto count = whole_number(fields[i]);
    if (!count || *count < least || *count > kMostTraceTokens) return place.not_whole(column, fields[i], least, kMostTraceTokens);
    return static_cast<std::uint32_t>(*count);
  }

  std::size_t lines_left() const { return static_cast<std::size_t>(std::ranges::count(rest_, '\n')) + 1; }

 private:
  template <class Visit>
  static void for_each_field(std::string_view line, Visit visit) {
    for (;;) {
      const std::size_t comma = line.find(',');
      visit(line.substr(0, comma));
      if (comma == std::string_view::npos) return;
      line.remove_prefix(comma + 1);
    }
  }
  std::string_view next_line() {
    ++place.line;
    return take_line(rest_);
  }

  std::string_view rest_;
  std::size_t columns_ = 0;
  std::array<std::size_t, kWanted> at_{};
};

template <std::size_t kWanted>
Error no_rows(const Table<kWanted>& table) {
  return table.place.error("a header and no requests; a trace has at least one");
}

}  // namespace

Result<Trace> parse_azure_csv(std::string_view text, std::string_view file) {
  Table<3> table(text, file);
  if (const Status header = table.read_header({"TIMESTAMP", "ContextTokens", "GeneratedTokens"}, 3); !header) return header.error();
  Trace trace;
  trace.reserve(table.lines_left());
  std::int64_t first = 0, last = std::numeric_limits<std::int64_t>::min();
  for (;;) {
    const Result<bool> row = table.next();
    if (!row) return row.error();
    if (!*row) break;
    const auto at = nanoseconds_of_day_time(table.fields[0]);
    if (!at) {
      return table.place.error(
          fmt::format("TIMESTAMP must be a time such as 2023-11-16 18:17:03.9799600, not {}", shown(table.fields[0])));
    }
    if (*at < last) {
      return table.place.error(fmt::format("{} is before the row above it; sort the rows by TIMESTAMP", shown(table.fields[0])));
    }
    last = *at;
    if (trace.empty()) first = *at;
    const auto prompt = table.tokens(1, "ContextTokens", 1);
    if (!prompt) return prompt.error();
    const auto output = table.tokens(2, "GeneratedTokens", 0);
    if (!output) return output.error();
    trace.push_back({std::to_string(trace.size()), static_cast<double>(*at - first) / 1e9, *prompt, *output, {}});
  }
  if (trace.empty()) return no_rows(table);
  return trace;
}

Result<Trace> parse_splitwise_csv(std::string_view text, std::string_view file) {
  Table<5> table(text, file);
  const Status header = table.read_header({"request_id", "arrival_timestamp", "prompt_size", "token_size", "batch_size"}, 4);
  if (!header) return header.error();
  Trace trace;
  trace.reserve(table.lines_left());
  std::unordered_set<std::string_view> ids;
  ids.reserve(trace.capacity());
  for (;;) {
    const Result<bool> row = table.next();
    if (!row) return row.error();
    if (!*row) break;
    const auto& [id, arrival, prompt_size, token_size, batch_size] = table.fields;
    if (id.empty()) return table.place.error("request_id is empty; number the requests");
    if (!ids.insert(id).second) return table.place.error(fmt::format("request_id {} has appeared before; ids are unique", shown(id)));
    const auto at = seconds_of(arrival, 0);
    if (!at) return table.place.not_a_time("arrival_timestamp", arrival, "seconds");
    if (!trace.empty() && *at < trace.back().arrival_s) {
      return table.place.error(fmt::format("{} is before the row above it; sort the rows by arrival_timestamp", shown(arrival)));
    }
    const auto prompt = table.tokens(2, "prompt_size", 1);
    if (!prompt) return prompt.error();
    const auto output = table.tokens(3, "token_size", 0);
    if (!output) return output.error();
    if (!batch_size.empty() && whole_number(batch_size) != 1u) {
      return table.place.error(fmt::format("batch_size must be 1, not {}: write a batch as that many rows", shown(batch_size)));
    }
    trace.push_back({std::string(id), *at, *prompt, *output, {}});
  }
  if (trace.empty()) return no_rows(table);
  return trace;
}

}  // namespace baton::sim
