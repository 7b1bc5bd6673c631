// Typed look-ups in a GGUF file's metadata. The first error sticks and names file, key, what was expected and what was found;
// later look-ups return their fallback, so that a reader asks for all it needs and looks at error() once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/model/gguf_file.h"

namespace baton {

class GgufKeys {
 public:
  explicit GgufKeys(const GgufFile& file) : file_(file) {}

  bool has(std::string_view key) const { return file_.find(key) != nullptr; }
  std::uint64_t integer(std::string_view key, std::uint64_t least, std::uint64_t most, std::optional<std::uint64_t> absent = {});
  double real(std::string_view key, double least, double most, std::optional<double> absent = {});
  bool boolean(std::string_view key, bool absent);
  std::string string(std::string_view key, std::optional<std::string> absent = {});
  void fail(ErrorCode code, std::string_view key, std::string_view message);

  const std::optional<Error>& error() const { return error_; }

 private:
  const GgufValue* look_up(std::string_view key, bool required, std::string_view expected);

  const GgufFile& file_;
  std::optional<Error> error_;
};

}  // namespace baton
