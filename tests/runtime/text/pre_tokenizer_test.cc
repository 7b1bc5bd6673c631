#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/random.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/utf8.h"
#include "tests/runtime/text/text_helpers.h"

namespace baton::test {
namespace {

using Split = VocabularySource::Split;
using Strings = std::vector<std::string>;

PreTokenizer made(const VocabularySource& source) {
  auto result = PreTokenizer::make(source);
  CHECK(result.ok(), "{}", result.error().message);
  return std::move(result).value();
}

PreTokenizer by_name(std::string name) {
  VocabularySource source;
  source.pre_tokenizer = std::move(name);
  return made(source);
}

PreTokenizer by_splits(std::vector<Split> splits) {
  VocabularySource source;
  source.splits = std::move(splits);
  return made(source);
}

Strings pieces_of(const PreTokenizer& tokenizer, std::string_view text) {
  PatternSearch search;
  std::vector<TextSpan> spans;
  tokenizer.split(text, search, spans);
  Strings pieces;
  for (const TextSpan span : spans) pieces.emplace_back(text.substr(span.begin, span.end - span.begin));
  return pieces;
}

TEST(PreTokenizer, cuts_text_as_each_known_kind_does) {
  const struct { const char* name; std::string text; Strings pieces; } cases[] = {
      {"smollm", "a  12 b", {"a", "  ", "1", "2", " b"}},
      {"smollm", "I'll don'T  x\n\n y", {"I", "'ll", " don", "'", "T", " ", " x", "\n\n", " y"}},
      {"smollm", "x\u00B2\u0663 \u65E5\u672C!?", {"x", "\u00B2", "\u0663", " \u65E5\u672C", "!?"}},
      {"gpt-2", "a 123 4", {"a", " 123", " 4"}},
      {"default", "a 1234+x", {"a", " ", "123", "4", "+", "x"}},
      {"llama-bpe", "I'LL 12345 x\r\n\n  y !a\n", {"I", "'LL", " ", "123", "45", " x", "\r\n\n", " ", " y", " !", "a", "\n"}},
      {"qwen2", "I'LL 123 x  \n z !!\n", {"I", "'LL", " ", "1", "2", "3", " x", "  \n", " z", " !!\n"}},
      {"qwen2", "(abc) _d", {"(abc", ")", " _", "d"}},
  };
  for (const auto& c : cases) EXPECT_EQ(pieces_of(by_name(c.name), c.text), c.pieces) << c.name << ": " << c.text;
}

TEST(PreTokenizer, reads_the_splits_of_tokenizer_json_in_order) {
  const Split byte_level{Split::Kind::byte_level_gpt2, "", false};
  EXPECT_EQ(pieces_of(by_splits({{Split::Kind::digits, "", true}, byte_level}), "ab 12 c"), (Strings{"ab", " ", "1", "2", " c"}));
  EXPECT_EQ(pieces_of(by_splits({{Split::Kind::digits, "", false}, byte_level}), "ab 12 c"), (Strings{"ab", " ", "12", " c"}));
  EXPECT_EQ(pieces_of(by_splits({{Split::Kind::digit_groups, "", false}}), "ab 12 c"), (Strings{"ab ", "12", " c"}));
  EXPECT_EQ(pieces_of(by_splits({byte_level}), "ab 12 c"), (Strings{"ab", " 12", " c"}));
  EXPECT_EQ(pieces_of(by_splits({{Split::Kind::regex, "\\p{Lu}", false}}), "aBcD"), (Strings{"a", "B", "c", "D"}));
  EXPECT_EQ(pieces_of(by_splits({{Split::Kind::regex, "x*", false}}), "axxb"), (Strings{"a", "xx", "b"}));
}

// The one-pass pattern of smollm against the two passes that define it.
TEST(PreTokenizer, splits_digits_and_words_in_one_pass_as_in_two) {
  const PreTokenizer one = by_name("smollm");
  const std::string gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  const PreTokenizer two = by_splits({{Split::Kind::regex, R"(\p{N})", false}, {Split::Kind::regex, gpt2, false}});
  const std::string parts[] = {"a", "B", " ", "  ", "\n", "\t", "1", "23", "'", "'s", "'ll", "!", "-",
                               "\u00E9", "\u65E5", "\u0663", "\u00B2", "\u00A0", "\u3000", "\u0301"};
  Random random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::uint64_t n = random.below(9); n > 0; --n) text += parts[random.below(std::size(parts))];
    ASSERT_EQ(pieces_of(one, text), pieces_of(two, text)) << text;
  }
}

TEST(PreTokenizer, loses_nothing_of_any_text) {
  Random random(11);
  for (const auto name : PreTokenizer::names()) {
    const PreTokenizer tokenizer = by_name(std::string(name));
    for (int round = 0; round < 300; ++round) {
      std::string bytes;
      for (std::uint64_t n = random.below(20); n > 0; --n) {
        append_utf8(bytes, static_cast<char32_t>(random.below(random.below(3) == 0 ? 0xD7FF : 0x250)));
      }
      std::string joined;
      for (const auto& piece : pieces_of(tokenizer, bytes)) joined += piece;
      ASSERT_EQ(joined, bytes);
    }
  }
}

TEST(PreTokenizer, refuses_what_it_does_not_know_and_says_what_it_knows) {
  VocabularySource source;
  source.pre_tokenizer = "tekken";
  const auto unknown = PreTokenizer::make(source);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::unsupported);
  EXPECT_THAT(unknown.error().message, testing::AllOf(testing::HasSubstr("\"tekken\""), testing::HasSubstr("default, gpt-2, smollm")));
  source.splits = {{Split::Kind::regex, "a(", false}};
  const auto broken = PreTokenizer::make(source);
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, ErrorCode::invalid_file);
  EXPECT_THAT(broken.error().message, testing::HasSubstr("\"a(\""));
}

TEST(PreTokenizer, gives_up_on_a_pattern_that_explodes_and_keeps_the_rest_whole) {
  const PreTokenizer tokenizer = by_splits({{Split::Kind::regex, "(a|aa)+$", false}});
  const std::string text = std::string(200, 'a') + "b";
  EXPECT_EQ(pieces_of(tokenizer, text), (Strings{text}));
}

}  // namespace
}  // namespace baton::test
