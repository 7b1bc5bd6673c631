// The readers of the four formats, and what they share: the place in the file that an error names, and numbers with their bounds.
// Private to runtime/sim/trace*.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/sim/trace.h"

namespace baton::sim {

struct TracePlace {
  std::string_view file;
  std::size_t line = 1;

  Error error(std::string_view message) const;                                     // "FILE:LINE: message"
  Error not_whole(std::string_view column, std::string_view word, std::uint64_t least, std::uint64_t most) const;
  Error not_a_time(std::string_view column, std::string_view word, std::string_view unit) const;
};

// Each takes a text with at least one character that is not white space, and CSV readers one whose first line is the header.
Result<Trace> parse_azure_csv(std::string_view text, std::string_view file);
Result<Trace> parse_splitwise_csv(std::string_view text, std::string_view file);
Result<Trace> parse_mooncake_jsonl(std::string_view text, std::string_view file);
Result<Trace> parse_distserve_json(std::string_view text, std::string_view file);

// "12", and also "12.0", which spreadsheets and data frames make of it. Nothing for anything else, or beyond 64 bits.
std::optional<std::uint64_t> whole_number(std::string_view word);

// A count of 10^-decimals seconds, as the nearest double to its value in seconds: "12.345" with 3 decimals is 0.012345. Nothing unless it
// is a finite number from 0 to kLatestTraceTime.
std::optional<double> seconds_of(std::string_view word, int decimals);

// Time since 1970 in nanoseconds of "2023-11-16 18:17:03.9799600", also with T, Z, +00:00, or no fraction.
std::optional<std::int64_t> nanoseconds_of_day_time(std::string_view word);

// The next line without its end, and the rest; `text` is not empty.
std::string_view take_line(std::string_view& text);
std::string_view trimmed(std::string_view word);                                   // spaces and tabs at both ends
std::string shown(std::string_view word);                                          // in quotes, printable and short

}  // namespace baton::sim
