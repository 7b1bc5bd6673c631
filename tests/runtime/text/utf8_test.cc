#include <gtest/gtest.h>

#include "runtime/text/byte_alphabet.h"
#include "runtime/text/utf8.h"

namespace baton::test {
namespace {

TEST(Utf8, knows_valid_text_from_invalid) {
  for (const std::string text : {"", "abc", "\u00E9", "\u65E5", "\U0001F600", "\uD7FF\uE000", "\U0010FFFF"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  for (const std::string text : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                 "\xF5\x80\x80\x80", "a\xE2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(text));
  }
}

TEST(Utf8, reads_back_every_code_point_it_writes) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    std::string text;
    append_utf8(text, c);
    std::size_t at = 0;
    ASSERT_EQ(next_code_point(text, at), c);
    ASSERT_EQ(at, text.size());
    ASSERT_EQ(is_valid_utf8(text), c < 0xD800 || c > 0xDFFF);
  }
}

TEST(Utf8, decoder_gives_the_same_text_however_bytes_are_cut) {
  const std::string bytes = "a\u00E9\xE2\x82\u20AC\xFF\xF0\x9F\x98\U0001F600\xED\xA0\x80z\xC3";
  const std::string expected = "a\u00E9\uFFFD\u20AC\uFFFD\uFFFD\U0001F600\uFFFD\uFFFD\uFFFDz\uFFFD";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    Utf8Decoder decoder;
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += step) decoder.push(std::string_view(bytes).substr(at, step), text);
    decoder.finish(text);
    EXPECT_EQ(text, expected) << step;
  }
}

TEST(ByteAlphabet, spells_every_byte_and_reads_it_back) {
  std::string all;
  for (unsigned byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(bytes_of_piece(piece_of_bytes(all)), all);
  EXPECT_EQ(piece_of_bytes(" a\n"), "\u0120a\u010A");
  EXPECT_EQ(bytes_of_piece("a b"), std::nullopt);
}

}  // namespace
}  // namespace baton::test
