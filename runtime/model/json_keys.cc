#include "runtime/model/json_keys.h"

#include <cmath>
#include <set>

#include "runtime/model/printable.h"

namespace baton {
namespace {

constexpr int kMaxDepth = 64;

// Brackets outside strings. The parser itself keeps its own stack, but what it builds is walked recursively later.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

std::string abbreviated(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

}  // namespace

Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& file) {
  const auto invalid = [&](std::string_view message) {
    return Error{ErrorCode::invalid_file, Scope::instance, fmt::format("{}: {}", file, message)};
  };
  if (too_deep(text)) return invalid(fmt::format("JSON nested deeper than {}", kMaxDepth));
  std::set<std::string> keys;
  std::optional<std::string> twice;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::key && depth == 1) {
      const auto* key = parsed.get_ptr<const std::string*>();
      if (key != nullptr && !keys.insert(*key).second && !twice) twice = *key;
    }
    return true;
  };
  nlohmann::json parsed = nlohmann::json::parse(text, watch, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return invalid("not valid JSON (or not UTF-8); is the download complete?");
  if (!parsed.is_object()) return invalid("expected a JSON object");
  if (twice) return invalid(fmt::format("key {} appears twice", printable(*twice)));
  return parsed;
}

std::optional<std::uint64_t> as_unsigned(const nlohmann::json& value) {
  if (const auto* number = value.get_ptr<const nlohmann::json::number_unsigned_t*>()) return *number;
  if (const auto* number = value.get_ptr<const nlohmann::json::number_float_t*>()) {
    if (*number >= 0 && *number < 0x1p53 && *number == std::floor(*number)) return static_cast<std::uint64_t>(*number);
  }
  return std::nullopt;
}

void JsonKeys::fail(ErrorCode code, std::string_view key, std::string_view message) {
  if (!error_) error_ = Error{code, Scope::instance, fmt::format("{}: key {}{}: {}", file_, printable(prefix_), printable(key), message)};
}

const nlohmann::json* JsonKeys::find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool JsonKeys::is_null(const char* key) const {
  const auto found = object_.find(key);
  return found != object_.end() && found->is_null();
}

const nlohmann::json* JsonKeys::look_up(const char* key, bool required, std::string_view expected) {
  if (error_) return nullptr;
  const nlohmann::json* value = find(key);
  if (value == nullptr && required) fail(ErrorCode::invalid_file, key, fmt::format("missing, expected {}", expected));
  return value;
}

void JsonKeys::mismatch(const char* key, std::string_view expected, const nlohmann::json& found) {
  fail(ErrorCode::invalid_file, key, fmt::format("expected {}, found {}", expected, abbreviated(found)));
}

std::uint64_t JsonKeys::integer(const char* key, std::uint64_t least, std::uint64_t most, std::optional<std::uint64_t> absent) {
  const std::string expected = fmt::format("an integer from {} to {}", least, most);
  const nlohmann::json* value = look_up(key, !absent, expected);
  if (value == nullptr) return absent.value_or(least);
  const auto number = as_unsigned(*value);
  if (number && *number >= least && *number <= most) return *number;
  mismatch(key, expected, *value);
  return least;
}

double JsonKeys::real(const char* key, double least, double most, std::optional<double> absent) {
  const std::string expected = fmt::format("a number from {} to {}", least, most);
  const nlohmann::json* value = look_up(key, !absent, expected);
  if (value == nullptr) return absent.value_or(least);
  if (value->is_number()) {
    const double number = value->get<double>();
    if (number >= least && number <= most) return number;
  }
  mismatch(key, expected, *value);
  return least;
}

bool JsonKeys::boolean(const char* key, bool absent) {
  const nlohmann::json* value = look_up(key, false, "true or false");
  if (value == nullptr) return absent;
  if (const auto* flag = value->get_ptr<const nlohmann::json::boolean_t*>()) return *flag;
  mismatch(key, "true or false", *value);
  return absent;
}

std::string JsonKeys::string(const char* key, std::optional<std::string> absent) {
  const nlohmann::json* value = look_up(key, !absent, "a string");
  if (value == nullptr) return absent.value_or("");
  if (const auto* text = value->get_ptr<const std::string*>()) return *text;
  mismatch(key, "a string", *value);
  return "";
}

}  // namespace baton
