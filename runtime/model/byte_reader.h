// Reads little-endian values off a span and never past its end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace baton {

static_assert(std::endian::native == std::endian::little, "model files are read in place and are little-endian");

template <class T>
T load_as(std::span<const std::byte> bytes, std::size_t index = 0) {   // bytes.size() >= (index + 1) * sizeof(T); any alignment
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return bytes_.size() - position_; }

  std::optional<std::span<const std::byte>> take(std::uint64_t count) {
    if (count > remaining()) return std::nullopt;
    const auto part = bytes_.subspan(position_, count);
    position_ += count;
    return part;
  }
  template <class T>
  std::optional<T> read() {
    const auto part = take(sizeof(T));
    if (!part) return std::nullopt;
    return load_as<T>(*part);
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace baton
