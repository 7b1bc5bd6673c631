#include "runtime/sim/compat/distserve_workload.h"

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>

namespace baton::sim::distserve {
namespace {

using nlohmann::json;

constexpr const char* kForm = R"([{"prompt_len": 353, "output_len": 236, "unit_interarrival_s": 0.0}, ...])";
constexpr std::uint64_t kMostTokens = 10'000'000;
constexpr double kLongestGap = 1e9;

// Cuts a JSON list of objects into its objects, so that each error has a line.
class Rows {
 public:
  explicit Rows(std::string_view text) : text_(text) {}

  std::size_t line() const { return line_; }
  bool at_end() { return peek() == '\0' && at_ == text_.size(); }
  // The character to come after white space; 0 at the end.
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) advance();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char expected) {
    const bool there = peek() == expected && at_ < text_.size();
    if (there) advance();
    return there;
  }
  // The text of the object that begins here, up to its closing brace; empty when there is none.
  std::string_view object() {
    if (peek() != '{') return {};
    const std::size_t begin = at_;
    int depth = 0;
    for (bool in_string = false; at_ < text_.size(); advance()) {
      const char c = text_[at_];
      if (in_string && c == '\\') advance();
      else if (c == '"') in_string = !in_string;
      else if (!in_string && c == '{') ++depth;
      else if (!in_string && c == '}' && --depth == 0) {
        advance();
        return text_.substr(begin, at_ - begin);
      }
    }
    return {};
  }

 private:
  void advance() {
    if (at_ < text_.size() && text_[at_++] == '\n') ++line_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

bool is_count(const json& row, const char* key, std::uint32_t& value) {
  if (!row.contains(key) || !row[key].is_number_unsigned() || row[key].get<std::uint64_t>() > kMostTokens) return false;
  value = row[key].get<std::uint32_t>();
  return true;
}

// What is wrong with the request; empty: it was added. The first decides whether all have gaps.
std::string add(const json& row, Workload& workload) {
  Lengths lengths;
  if (!row.is_object()) return "this is no JSON object";
  if (!is_count(row, "prompt_len", lengths.prompt) || lengths.prompt == 0) return "\"prompt_len\" must be a number of tokens, at least 1";
  if (!is_count(row, "output_len", lengths.output)) return "\"output_len\" must be a number of tokens";
  const auto gap = row.find("unit_interarrival_s");
  if (workload.unit_gaps.size() < workload.requests.size() ? gap != row.end() : !workload.requests.empty() && gap == row.end()) {
    return "\"unit_interarrival_s\" must be in every request or in none";
  }
  if (gap != row.end()) {
    if (!gap->is_number() || !(gap->get<double>() >= 0 && gap->get<double>() <= kLongestGap)) {
      return "\"unit_interarrival_s\" must be seconds from 0 to 1e9";
    }
    workload.unit_gaps.push_back(workload.requests.empty() ? 0 : gap->get<double>());
  }
  workload.requests.push_back(lengths);
  return "";
}

}  // namespace

Result<Workload> parse_workload(std::string_view text, const std::string& name) {
  Rows rows(text);
  const auto refuse = [&](std::size_t line, const std::string& what) {
    return Error{ErrorCode::invalid_argument, Scope::request, fmt::format("{}:{}: {}; the form is {}", name, line, what, kForm)};
  };
  if (!rows.take('[')) return refuse(rows.line(), "a workload must be a list of requests");
  Workload workload;
  do {
    rows.peek();
    const std::size_t line = rows.line();
    const std::string wrong = add(json::parse(rows.object(), nullptr, false), workload);
    if (!wrong.empty()) return refuse(line, wrong);
  } while (rows.take(','));
  if (!rows.take(']')) return refuse(rows.line(), "here the list must go on with , or end with ]");
  if (!rows.at_end()) return refuse(rows.line(), "here the list has ended, but the file has not");
  if (workload.unit_gaps.empty()) workload.unit_gaps = poisson_unit_gaps(workload.requests.size());
  return workload;
}

Result<Workload> load_workload(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.is_open()) text << file.rdbuf();              // not by iterators, which throw on a folder
  if (!file.is_open() || file.bad() || text.bad()) {
    return Error{ErrorCode::io_error, Scope::request, fmt::format("{} could not be read: is it there?", path)};
  }
  return parse_workload(std::move(text).str(), path);
}

std::vector<double> poisson_unit_gaps(std::size_t count) {
  std::mt19937 draws(0);
  std::vector<double> gaps(count, 0);
  for (std::size_t i = 1; i < count; ++i) {
    const auto high = static_cast<double>(draws() >> 5), low = static_cast<double>(draws() >> 6);
    gaps[i] = -std::log(1.0 - (high * 67108864.0 + low) / 9007199254740992.0);
  }
  return gaps;
}

void arrivals_at(double rate, const std::vector<double>& unit_gaps, std::vector<double>& arrivals) {
  arrivals.resize(unit_gaps.size());
  const double scale = 1.0 / rate;
  double at = 0;
  for (std::size_t i = 0; i < unit_gaps.size(); ++i) arrivals[i] = at += unit_gaps[i] * scale * 1000;
}

}  // namespace baton::sim::distserve
