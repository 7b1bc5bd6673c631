// JSON from a file that is not trusted: parsed without exceptions and with a bound on its depth, looked up by typed accessors.
// As with GgufKeys the first error sticks, names file and key, and later look-ups return their fallback. A null is an absent key.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/result.h"

namespace baton {

// An object at the top. Errors: invalid_file (not JSON, not UTF-8, deeper than 64, not an object, a key twice in the outer object).
Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& file);

class JsonKeys {
 public:
  // `object` (any JSON value; one that is not an object has no keys) must outlive this. `prefix`: where it lies, in errors.
  JsonKeys(const nlohmann::json& object, std::string file, std::string prefix = "")
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

  bool has(const char* key) const { return find(key) != nullptr; }
  const nlohmann::json* find(const char* key) const;     // null: absent or null
  bool is_null(const char* key) const;                   // there, and null
  std::uint64_t integer(const char* key, std::uint64_t least, std::uint64_t most, std::optional<std::uint64_t> absent = {});
  double real(const char* key, double least, double most, std::optional<double> absent = {});
  bool boolean(const char* key, bool absent);
  std::string string(const char* key, std::optional<std::string> absent = {});
  void fail(ErrorCode code, std::string_view key, std::string_view message);

  const std::optional<Error>& error() const { return error_; }

 private:
  const nlohmann::json* look_up(const char* key, bool required, std::string_view expected);
  void mismatch(const char* key, std::string_view expected, const nlohmann::json& found);

  const nlohmann::json& object_;
  std::string file_;
  std::string prefix_;
  std::optional<Error> error_;
};

// A whole number that is not negative, also when it is spelled 4096.0; nothing otherwise.
std::optional<std::uint64_t> as_unsigned(const nlohmann::json& value);

}  // namespace baton
