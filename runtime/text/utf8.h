// UTF-8 as a tokenizer and a stream of text need it. Two readings, on purpose different:
//   - text that comes in (to_code_points' rules): each bad byte becomes one U+FFFD; overlong forms are read as the code point
//     they spell and surrogates pass, as in llama.cpp, so that the same prompt has the same tokens;
//   - text that goes out (Utf8Decoder): strict, one U+FFFD for each maximal part of a character (Unicode 3.9, U+FFFD
//     substitution), since it ends in JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace baton {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;
inline constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

void append_utf8(std::string& out, char32_t code_point);

// Reads the code point at `offset` and moves past it; a bad byte gives U+FFFD and moves by one. offset < text.size().
char32_t next_code_point(std::string_view text, std::size_t& offset);

// Strict: no overlong forms, no surrogates, nothing over U+10FFFF.
bool is_valid_utf8(std::string_view text);

// `text` with every bad byte replaced and overlong forms shortened. Surrogates stay as their three bytes.
std::string repaired(std::string_view text);

// Bytes in, whole characters out, however the bytes are cut.
class Utf8Decoder {
 public:
  void push(std::string_view bytes, std::string& out);
  void finish(std::string& out);                       // an unfinished character becomes one U+FFFD

 private:
  std::string pending_;                                // the valid beginning of a character, at most 3 bytes
  std::uint8_t missing_ = 0;                           // bytes it still lacks
  std::uint8_t low_ = 0x80;                            // what the next byte may be
  std::uint8_t high_ = 0xBF;
};

}  // namespace baton
