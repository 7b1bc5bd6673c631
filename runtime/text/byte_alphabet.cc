#include "runtime/text/byte_alphabet.h"

#include <array>

#include "runtime/text/utf8.h"

namespace baton {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct AlphabetTables {
  std::array<char32_t, 256> of_byte{};
  std::array<std::int16_t, 0x144> of_code_point{};
};

constexpr AlphabetTables make_tables() {
  AlphabetTables tables;
  for (auto& entry : tables.of_code_point) entry = -1;
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t code_point = stands_for_itself(byte) ? byte : next++;
    tables.of_byte[byte] = code_point;
    tables.of_code_point[code_point] = static_cast<std::int16_t>(byte);
  }
  return tables;
}
constexpr AlphabetTables kTables = make_tables();

}  // namespace

char32_t alphabet_of_byte(std::uint8_t byte) { return kTables.of_byte[byte]; }

std::optional<std::uint8_t> byte_of_alphabet(char32_t code_point) {
  if (code_point >= kTables.of_code_point.size() || kTables.of_code_point[code_point] < 0) return std::nullopt;
  return static_cast<std::uint8_t>(kTables.of_code_point[code_point]);
}

std::optional<std::string> bytes_of_piece(std::string_view piece) {
  std::string bytes;
  bytes.reserve(piece.size());
  for (std::size_t i = 0; i < piece.size();) {
    const auto byte = byte_of_alphabet(next_code_point(piece, i));
    if (!byte) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
  }
  return bytes;
}

std::string piece_of_bytes(std::string_view bytes) {
  std::string piece;
  piece.reserve(bytes.size() * 2);
  for (const char c : bytes) append_utf8(piece, alphabet_of_byte(static_cast<std::uint8_t>(c)));
  return piece;
}

}  // namespace baton
