#include "runtime/model/gguf_keys.h"

namespace baton {

void GgufKeys::fail(ErrorCode code, std::string_view key, std::string_view message) {
  if (!error_) error_ = Error{code, Scope::instance, fmt::format("{}: key {}: {}", file_.file(), key, message)};
}

const GgufValue* GgufKeys::look_up(std::string_view key, bool required, std::string_view expected) {
  if (error_) return nullptr;
  const GgufValue* value = file_.find(key);
  if (value == nullptr && required) fail(ErrorCode::invalid_file, key, fmt::format("missing, expected {}", expected));
  return value;
}

std::uint64_t GgufKeys::integer(std::string_view key, std::uint64_t least, std::uint64_t most, std::optional<std::uint64_t> absent) {
  const std::string expected = fmt::format("an integer from {} to {}", least, most);
  const GgufValue* value = look_up(key, !absent, expected);
  if (value == nullptr) return absent.value_or(least);
  const auto number = value->unsigned_integer();
  if (number && *number >= least && *number <= most) return *number;
  fail(ErrorCode::invalid_file, key, fmt::format("expected {}, found {}", expected, value->describe()));
  return least;
}

double GgufKeys::real(std::string_view key, double least, double most, std::optional<double> absent) {
  const std::string expected = fmt::format("a number from {} to {}", least, most);
  const GgufValue* value = look_up(key, !absent, expected);
  if (value == nullptr) return absent.value_or(least);
  const auto number = value->real();
  if (number && *number >= least && *number <= most) return *number;   // false for NaN
  fail(ErrorCode::invalid_file, key, fmt::format("expected {}, found {}", expected, value->describe()));
  return least;
}

bool GgufKeys::boolean(std::string_view key, bool absent) {
  const GgufValue* value = look_up(key, false, "a bool");
  if (value == nullptr) return absent;
  if (const auto flag = value->boolean()) return *flag;
  fail(ErrorCode::invalid_file, key, fmt::format("expected a bool, found {}", value->describe()));
  return absent;
}

std::string GgufKeys::string(std::string_view key, std::optional<std::string> absent) {
  const GgufValue* value = look_up(key, !absent, "a string");
  if (value == nullptr) return absent.value_or("");
  if (const auto text = value->string()) return std::string(*text);
  fail(ErrorCode::invalid_file, key, fmt::format("expected a string, found {}", value->describe()));
  return "";
}

}  // namespace baton
