// A regular expression over UTF-8 (PCRE2, Unicode classes, JIT), compiled once and shared by all threads; each search has its
// own state. A search that would take too long gives up: text must not be able to hold a thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/result.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace baton {

struct TextSpan {                  // bytes [begin, end)
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const TextSpan&) const = default;
};

class Pattern {
 public:
  // Errors: invalid_file, with the pattern, the place in it and what is wrong there.
  static Result<Pattern> compile(const std::string& expression);

 private:
  friend class PatternSearch;
  struct Deleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  explicit Pattern(pcre2_real_code_8* code) : code_(code) {}
  std::unique_ptr<pcre2_real_code_8, Deleter> code_;
};

// Finds matches of any pattern, one after the other. Not shared between threads.
class PatternSearch {
 public:
  PatternSearch();

  // The first match at or after `from`. Nothing: none, or the limits of effort are reached. An empty match counts as none at
  // its place. `text`: what next_code_point can read without a bad byte, and no surrogates.
  std::optional<TextSpan> find(const Pattern& pattern, std::string_view text, std::size_t from);

 private:
  struct DataDeleter {
    void operator()(pcre2_real_match_data_8* data) const;
  };
  struct ContextDeleter {
    void operator()(pcre2_real_match_context_8* context) const;
  };
  std::unique_ptr<pcre2_real_match_data_8, DataDeleter> data_;
  std::unique_ptr<pcre2_real_match_context_8, ContextDeleter> context_;
};

}  // namespace baton
