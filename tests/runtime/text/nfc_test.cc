#include <gtest/gtest.h>

#include "runtime/text/nfc.h"
#include "runtime/text/utf8.h"
#include "tests/runtime/text/text_helpers.h"

namespace baton::test {
namespace {

TEST(Nfc, composes_as_the_standard_says) {
  const struct { std::string text, normal; } cases[] = {
      {"", ""}, {"plain", "plain"}, {"e\u0301", "\u00E9"}, {"\u00E9", "\u00E9"},
      {"\u1E0B\u0323", "\u1E0D\u0307"},                       // decomposed, put in order, composed again
      {"q\u0307\u0323", "q\u0323\u0307"},                     // nothing to compose, but an order
      {"a\u0315\u0300\u05AE\u0300b", "\u00E0\u05AE\u0300\u0315b"},
      {"\u212B", "\u00C5"}, {"\u0344", "\u0308\u0301"}, {"\uF900", "\u8C48"}, {"\u0958", "\u0915\u093C"},
      {"\u1112\u1161\u11AB", "\uD55C"}, {"\uD558\u11AB", "\uD55C"}, {"\u1100\u1100\u1161", "\u1100\uAC00"},
      {"\uAC00\u11A7", "\uAC00\u11A7"},
      {"\u1100\u0300\u1161", "\u1100\u0300\u1161"},           // blocked
      {"\U00011099\U000110BA", "\U0001109A"},
  };
  for (const auto& c : cases) EXPECT_EQ(to_nfc(c.text), c.normal) << c.text;
}

TEST(Nfc, is_its_own_normal_form_for_every_character) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    std::string text;
    append_utf8(text, c);
    const std::string normal = to_nfc(text);
    ASSERT_EQ(to_nfc(normal), normal) << static_cast<std::uint32_t>(c);
    ASSERT_TRUE(c >= 0x300 || normal == text);
    ASSERT_EQ(c < 0x300, !may_need_nfc(text));
  }
}

TEST(Nfc, is_applied_to_text_when_the_vocabulary_asks_for_it) {
  auto source = byte_level_source({{"\xC3", "\xA9"}});
  const std::string text = "e\u0301<|im_end|>\u00E9";
  EXPECT_EQ(spelled(*tokenizer_of(source), tokenizer_of(source)->encode(text, {.parse_special = true})), "e|\xCC|\x81|<|im_end|>|\u00E9");
  source.nfc = true;
  EXPECT_EQ(spelled(*tokenizer_of(source), tokenizer_of(source)->encode(text, {.parse_special = true})), "\u00E9|<|im_end|>|\u00E9");
}

}  // namespace
}  // namespace baton::test
