// GPT-2's byte alphabet: every byte as a printable character, so that vocabularies are text. Bytes 21-7E, A1-AC and AE-FF are
// the code points of the same value; the other 68 follow in order from U+0100 (space is U+0120, newline U+010A).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace baton {

char32_t alphabet_of_byte(std::uint8_t byte);
std::optional<std::uint8_t> byte_of_alphabet(char32_t code_point);

// The bytes that a piece stands for; nothing if it has a character outside the alphabet.
std::optional<std::string> bytes_of_piece(std::string_view piece);
std::string piece_of_bytes(std::string_view bytes);

}  // namespace baton
