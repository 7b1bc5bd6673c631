// A walk over JSON text without a tree: a trace of millions of numbers is read in one pass, and an error knows its line. Values are
// taken as words; the caller makes numbers of them. Private to runtime/sim/trace_json.cc.
//
// What is not JSON ends the walk: every call then answers "no", and `failed()` says so once.
#pragma once

#include <cstddef>
#include <string_view>

namespace baton::sim {

class JsonScan {
 public:
  explicit JsonScan(std::string_view text, std::size_t line = 1) : at_(text.data()), end_(text.data() + text.size()), line_(line) {}

  std::size_t line() const { return line_; }
  bool failed() const { return failed_; }
  bool at_end() {
    skip_space();
    return at_ == end_;
  }
  std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }

  bool open(char bracket) { return take(bracket) ? (first_ = true) : false; }      // '[' or '{'

  // Whether another element of the array or object follows; takes the comma, or the closing bracket.
  bool more(char closing) {
    skip_space();
    if (failed_ || at_ == end_) return fail();
    if (*at_ == closing) {
      ++at_;
      first_ = false;
      return false;
    }
    if (!first_ && !take(',')) return fail();
    first_ = false;
    return true;
  }

  // The key of a member without its quotes, and past its colon. Escapes are left as they are.
  std::string_view key() {
    const std::string_view word = string();
    if (!take(':')) fail();
    return word;
  }

  // A number or another bare word, or a string with its quotes. Of anything else its first character, which is left where it is.
  std::string_view scalar() {
    skip_space();
    const char* begin = at_;
    if (at_ != end_ && *at_ == '"') {
      const std::string_view inside = string();
      return failed_ ? std::string_view{} : std::string_view{begin, inside.size() + 2};
    }
    while (at_ != end_ && is_bare(*at_)) ++at_;
    return {begin, at_ == begin && at_ != end_ ? 1 : static_cast<std::size_t>(at_ - begin)};
  }

  // Passes over a value of any kind, nested ones up to kDeepest.
  bool skip_value(int depth = 0) {
    skip_space();
    if (failed_ || at_ == end_ || depth > kDeepest) return fail();
    if (*at_ == '"' || is_bare(*at_)) return scalar(), !failed_;
    if (*at_ != '[' && *at_ != '{') return fail();
    const bool object = *at_ == '{';
    open(*at_);
    while (more(object ? '}' : ']')) {
      if (object) key();
      if (!skip_value(depth + 1)) return false;
    }
    return !failed_;
  }

  bool fail() {
    failed_ = true;
    at_ = end_;
    return false;
  }

 private:
  static constexpr int kDeepest = 64;

  static bool is_bare(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.';
  }
  void skip_space() {
    for (; at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t'); ++at_) line_ += *at_ == '\n';
  }
  bool take(char c) {
    skip_space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  std::string_view string() {
    if (!take('"')) return fail(), std::string_view{};
    const char* begin = at_;
    while (at_ != end_ && *at_ != '"' && *at_ != '\n') at_ += *at_ == '\\' && at_ + 1 != end_ ? 2 : 1;
    if (at_ == end_ || *at_ != '"') return fail(), std::string_view{};
    return {begin, static_cast<std::size_t>(at_++ - begin)};
  }

  const char* at_;
  const char* end_;
  std::size_t line_;
  bool first_ = true;                      // no element of the innermost open bracket was read yet
  bool failed_ = false;
};

}  // namespace baton::sim
