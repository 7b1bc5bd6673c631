// Words of trace files as numbers and times, and what is said when they are not.
#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <chrono>
#include <cstring>

#include "runtime/model/printable.h"
#include "runtime/sim/trace_formats.h"

namespace baton::sim {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes exactly `digits` digits off the front.
std::optional<int> take_number(std::string_view& word, std::size_t digits) {
  if (word.size() < digits) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (!is_digit(word[i])) return std::nullopt;
    value = value * 10 + (word[i] - '0');
  }
  word.remove_prefix(digits);
  return value;
}

bool take(std::string_view& word, char c) {
  if (word.empty() || word.front() != c) return false;
  word.remove_prefix(1);
  return true;
}

// Nanoseconds of ".9799600", 0 when there is no point; nothing for a point without digits.
std::optional<std::int64_t> take_fraction(std::string_view& word) {
  if (!take(word, '.')) return 0;
  std::int64_t ns = 0;
  std::size_t digits = 0;
  for (; !word.empty() && is_digit(word.front()) && digits < 9; ++digits, word.remove_prefix(1)) ns = ns * 10 + (word.front() - '0');
  if (digits == 0) return std::nullopt;
  for (; digits < 9; ++digits) ns *= 10;
  return ns;
}

// Minutes east of Greenwich of "", "Z", "+00:00", "-0700".
std::optional<int> zone_minutes(std::string_view word) {
  if (word.empty() || word == "Z") return 0;
  const bool west = word.front() == '-';
  if (!take(word, west ? '-' : '+')) return std::nullopt;
  const auto hours = take_number(word, 2);
  take(word, ':');
  const auto minutes = word.empty() ? std::optional{0} : take_number(word, 2);
  if (!hours || !minutes || !word.empty() || *hours > 14 || *minutes > 59) return std::nullopt;
  return (west ? -1 : 1) * (*hours * 60 + *minutes);
}

}  // namespace

Error TracePlace::error(std::string_view message) const {
  return Error{ErrorCode::invalid_argument, Scope::request, fmt::format("{}:{}: {}", printable(file), line, message)};
}

Error TracePlace::not_whole(std::string_view column, std::string_view word, std::uint64_t least, std::uint64_t most) const {
  return error(fmt::format("{} must be a whole number from {} to {}, not {}", column, least, most, shown(word)));
}

Error TracePlace::not_a_time(std::string_view column, std::string_view word, std::string_view unit) const {
  return error(fmt::format("{} must be a time in {}, from 0 to {:g} seconds, not {}", column, unit, kLatestTraceTime, shown(word)));
}

std::optional<std::uint64_t> whole_number(std::string_view word) {
  std::uint64_t value = 0;
  const char* last = word.data() + word.size();
  const auto [end, error] = std::from_chars(word.data(), last, value);
  if (error != std::errc{}) return std::nullopt;
  if (end == last) return value;
  const std::string_view rest(end, static_cast<std::size_t>(last - end));
  if (rest.size() < 2 || rest[0] != '.' || rest.find_first_not_of('0', 1) != std::string_view::npos) return std::nullopt;
  return value;
}

std::optional<double> seconds_of(std::string_view word, int decimals) {
  double value = 0;
  const char* last = word.data() + word.size();
  const auto [end, error] = std::from_chars(word.data(), last, value);
  if (error != std::errc{} || end != last) return std::nullopt;
  if (decimals > 0) {
    // The power of ten goes into the text, where it is exact: a quotient would be rounded twice.
    char scaled[128];
    const std::size_t exponent_at = word.find_first_of("eE");
    const std::string_view digits = word.substr(0, exponent_at);
    int exponent = 0;
    if (exponent_at != std::string_view::npos) {
      std::string_view power = word.substr(exponent_at + 1);
      take(power, '+');
      if (std::from_chars(power.data(), power.data() + power.size(), exponent).ec != std::errc{}) return std::nullopt;
    }
    if (digits.size() > sizeof scaled - 16 || exponent < -400 || exponent > 400) return std::nullopt;
    const auto text = fmt::format_to_n(scaled, sizeof scaled, "{}e{}", digits, exponent - decimals);
    std::from_chars(scaled, text.out, value);
  }
  if (!(value >= 0 && value <= kLatestTraceTime)) return std::nullopt;
  return value + 0.0;                                        // -0 becomes 0
}

std::optional<std::int64_t> nanoseconds_of_day_time(std::string_view word) {
  using namespace std::chrono;
  const auto y = take_number(word, 4);
  if (!y || !take(word, '-')) return std::nullopt;
  const auto mo = take_number(word, 2);
  if (!mo || !take(word, '-')) return std::nullopt;
  const auto d = take_number(word, 2);
  if (!d || !(take(word, ' ') || take(word, 'T'))) return std::nullopt;
  const auto h = take_number(word, 2);
  if (!h || !take(word, ':')) return std::nullopt;
  const auto mi = take_number(word, 2);
  if (!mi || !take(word, ':')) return std::nullopt;
  const auto s = take_number(word, 2);
  const auto fraction = s ? take_fraction(word) : std::nullopt;
  const auto zone = fraction ? zone_minutes(word) : std::nullopt;
  const year_month_day day{year{*y}, month{static_cast<unsigned>(*mo)}, std::chrono::day{static_cast<unsigned>(*d)}};
  if (!zone || !day.ok() || *y < 1970 || *y > 2200 || *h > 23 || *mi > 59 || *s > 59) return std::nullopt;
  const seconds since = sys_days{day}.time_since_epoch() + hours{*h} + minutes{*mi} + seconds{*s} - minutes{*zone};
  return since.count() * 1'000'000'000 + *fraction;
}

std::string_view take_line(std::string_view& text) {
  const void* found = std::memchr(text.data(), '\n', text.size());
  const std::size_t length = found ? static_cast<std::size_t>(static_cast<const char*>(found) - text.data()) : text.size();
  std::string_view line = text.substr(0, length);
  text.remove_prefix(found ? length + 1 : length);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string_view trimmed(std::string_view word) {
  while (!word.empty() && (word.front() == ' ' || word.front() == '\t')) word.remove_prefix(1);
  while (!word.empty() && (word.back() == ' ' || word.back() == '\t')) word.remove_suffix(1);
  return word;
}

std::string shown(std::string_view word) { return fmt::format("\"{}\"", printable(word)); }

}  // namespace baton::sim
