#include <limits>
#include <type_traits>

#include "runtime/model/byte_reader.h"
#include "runtime/model/gguf_file.h"

namespace baton {
namespace {

template <class T>
std::optional<std::uint64_t> not_negative(std::span<const std::byte> bytes, std::size_t index) {
  const T value = load_as<T>(bytes, index);
  if constexpr (std::is_signed_v<T>) {
    if (value < 0) return std::nullopt;
  }
  return static_cast<std::uint64_t>(value);
}

std::optional<std::uint64_t> integer_at(GgufType type, std::span<const std::byte> bytes, std::size_t index) {
  switch (type) {
    case GgufType::u8: return not_negative<std::uint8_t>(bytes, index);
    case GgufType::i8: return not_negative<std::int8_t>(bytes, index);
    case GgufType::u16: return not_negative<std::uint16_t>(bytes, index);
    case GgufType::i16: return not_negative<std::int16_t>(bytes, index);
    case GgufType::u32: return not_negative<std::uint32_t>(bytes, index);
    case GgufType::i32: return not_negative<std::int32_t>(bytes, index);
    case GgufType::u64: return not_negative<std::uint64_t>(bytes, index);
    case GgufType::i64: return not_negative<std::int64_t>(bytes, index);
    default: return std::nullopt;
  }
}

}  // namespace

const char* to_string(GgufType type) {
  switch (type) {
    case GgufType::u8: return "u8";
    case GgufType::i8: return "i8";
    case GgufType::u16: return "u16";
    case GgufType::i16: return "i16";
    case GgufType::u32: return "u32";
    case GgufType::i32: return "i32";
    case GgufType::f32: return "f32";
    case GgufType::boolean: return "bool";
    case GgufType::string: return "string";
    case GgufType::array: return "array";
    case GgufType::u64: return "u64";
    case GgufType::i64: return "i64";
    case GgufType::f64: return "f64";
  }
  return "unknown";
}

std::optional<std::uint64_t> GgufValue::unsigned_integer() const { return integer_at(type, bytes, 0); }

std::optional<double> GgufValue::real() const {
  if (type == GgufType::f32) return load_as<float>(bytes);
  if (type == GgufType::f64) return load_as<double>(bytes);
  return std::nullopt;
}

std::optional<bool> GgufValue::boolean() const {
  if (type != GgufType::boolean) return std::nullopt;
  return load_as<std::uint8_t>(bytes) != 0;
}

std::optional<std::string_view> GgufValue::string() const {
  if (type != GgufType::string) return std::nullopt;
  return as_text(bytes);
}

std::optional<std::vector<std::string_view>> GgufValue::strings() const {
  if (type != GgufType::array || element != GgufType::string) return std::nullopt;
  std::vector<std::string_view> all;
  all.reserve(count);
  ByteReader reader(bytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto length = reader.read<std::uint64_t>();
    const auto text = length ? reader.take(*length) : std::nullopt;
    if (!text) return std::nullopt;   // the parser has walked it: not reached
    all.push_back(as_text(*text));
  }
  return all;
}

std::optional<std::vector<std::uint64_t>> GgufValue::unsigned_integers() const {
  if (type != GgufType::array) return std::nullopt;
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto value = integer_at(element, bytes, i);
    if (!value) return std::nullopt;
    all.push_back(*value);
  }
  return all;
}

std::optional<std::vector<float>> GgufValue::floats() const {
  if (type != GgufType::array || element != GgufType::f32) return std::nullopt;
  std::vector<float> all(count);
  for (std::uint64_t i = 0; i < count; ++i) all[i] = load_as<float>(bytes, i);
  return all;
}

std::string GgufValue::describe() const {
  if (type == GgufType::array) return fmt::format("an array of {}", to_string(element));
  if (type == GgufType::string) return "a string";
  if (const auto integer = unsigned_integer()) return fmt::format("{} {}", to_string(type), *integer);
  if (const auto number = real()) return fmt::format("{} {}", to_string(type), *number);
  return fmt::format("a {}", type == GgufType::boolean ? "bool" : "negative integer");
}

}  // namespace baton
