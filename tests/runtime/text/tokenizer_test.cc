#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "runtime/base/random.h"
#include "runtime/text/make_tokenizer.h"
#include "tests/runtime/text/text_helpers.h"

namespace baton::test {
namespace {

using testing::HasSubstr;
using Ids = std::vector<TokenId>;
using Kind = VocabularySource::TokenKind;

TEST(ByteLevelTokenizer, merges_by_rank_and_the_leftmost_of_equals) {
  const struct { std::vector<std::pair<std::string, std::string>> merges; std::string text, expected; } cases[] = {
      {{{"b", "c"}, {"a", "b"}}, "abc", "a|bc"},
      {{{"a", "b"}, {"b", "c"}}, "abc", "ab|c"},
      {{{"a", "a"}}, "aaaaa", "aa|aa|a"},
      {{{"a", "a"}, {"aa", "a"}}, "aaa", "aaa"},
      {{{"l", "o"}, {"e", "r"}, {"lo", "w"}, {"low", "er"}}, "lower lowe", "lower| |low|e"},
      {{{" ", "x"}, {"\xC3", "\xA9"}}, "x x\u00E9", "x| x|\u00E9"},
      {{{"c", "d"}, {"cd", "e"}, {"b", "cde"}}, "abcde", "a|bcde"},
  };
  for (const auto& c : cases) {
    const auto tokenizer = tokenizer_of(byte_level_source(c.merges));
    EXPECT_EQ(spelled(*tokenizer, tokenizer->encode(c.text, {})), c.expected);
  }
}

// A naive merger, restarted after every merge, against the queue.
TEST(ByteLevelTokenizer, merges_as_the_definition_does_for_random_vocabularies) {
  Random random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::pair<std::string, std::string>> merges;
    Ids alphabet{'a', 'b', 'c'};
    std::vector<std::string> made{"a", "b", "c"};
    for (int n = 0; n < 8; ++n) {
      std::pair<std::string, std::string> merge{made[random.below(made.size())], made[random.below(made.size())]};
      if (std::find(made.begin(), made.end(), merge.first + merge.second) != made.end()) continue;
      made.push_back(merge.first + merge.second);
      merges.push_back(merge);
    }
    const auto tokenizer = tokenizer_of(byte_level_source(merges));
    for (int k = 0; k < 20; ++k) {
      std::vector<std::string> row;
      std::string text;
      for (std::uint64_t n = 1 + random.below(20); n > 0; --n) {
        row.push_back(std::string(1, static_cast<char>('a' + random.below(3))));
        text += row.back();
      }
      for (bool again = true; again;) {
        again = false;
        for (const auto& [left, right] : merges) {
          for (std::size_t i = 0; i + 1 < row.size() && !again; ++i) {
            if (row[i] != left || row[i + 1] != right) continue;
            row[i] += right;
            row.erase(row.begin() + static_cast<std::ptrdiff_t>(i) + 1);
            again = true;
          }
          if (again) break;
        }
      }
      std::string expected;
      for (const auto& piece : row) expected += (expected.empty() ? "" : "|") + piece;
      ASSERT_EQ(spelled(*tokenizer, tokenizer->encode(text, {})), expected) << text;
    }
  }
}

TEST(ByteLevelTokenizer, takes_a_whole_piece_before_its_merges_only_when_told) {
  auto source = byte_level_source({{"a", "b"}, {"b", "c"}, {"a", "bc"}});       // "abc" merges to ab, c: its token is out of reach
  EXPECT_EQ(spelled(*tokenizer_of(source), tokenizer_of(source)->encode("abc", {})), "ab|c");
  source.ignore_merges = true;
  EXPECT_EQ(spelled(*tokenizer_of(source), tokenizer_of(source)->encode("abc", {})), "abc");
}

TEST(ByteLevelTokenizer, drops_only_the_bytes_that_the_vocabulary_cannot_spell) {
  auto source = byte_level_source({{"a", "b"}});
  source.pieces[static_cast<std::size_t>(byte_token('x'))] = "xx";
  source.pieces[static_cast<std::size_t>(byte_token(0xC3))] = "yy";
  const auto tokenizer = tokenizer_of(source);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("axb\u00E9ab", {}), true), "ab\xA9" "ab");
  EXPECT_EQ(tokenizer->encode("axb", {}), (Ids{byte_token('a'), byte_token('b')})) << "dropped after merging, so its neighbours stay apart";
}

TEST(ByteLevelTokenizer, spells_a_merge_without_a_token_byte_by_byte) {
  auto source = byte_level_source({{"a", "b"}, {"ab", "c"}});
  source.pieces.erase(source.pieces.begin() + 3 + 256);                          // "ab" is only a step to "abc"
  source.kinds.pop_back();
  const auto tokenizer = tokenizer_of(source);
  EXPECT_EQ(spelled(*tokenizer, tokenizer->encode("abc ab", {})), "abc| |a|b");
}

TEST(ByteLevelTokenizer, reads_bad_utf8_as_replacement_characters) {
  const auto tokenizer = tokenizer_of(byte_level_source({}));
  const struct { std::string text, decoded; } cases[] = {
      {"a\xFF" "b", "a\uFFFD" "b"}, {"\xE2\x82", "\uFFFD\uFFFD"}, {"\xF5\x80\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"}, {"\xC0\x80", std::string(1, '\0')}, {"x\xED\xA0\x80y", "x\xED\xA0\x80y"}};
  for (const auto& c : cases) EXPECT_EQ(tokenizer->decode(tokenizer->encode(c.text, {}), true), c.decoded);
}

TEST(ByteLevelTokenizer, gives_back_every_valid_text) {
  const auto tokenizer = tokenizer_of(byte_level_source({{"a", "b"}, {" ", "a"}, {"\xC3", "\xA9"}, {"\n", "\n"}}));
  Random random(5);
  const std::string parts[] = {"a", "b", " ", "\n\n", "\u00E9", "\u65E5", "\U0001F600", "1", "<|im_end|>", std::string(1, '\0')};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::uint64_t n = random.below(12); n > 0; --n) text += parts[random.below(std::size(parts))];
    for (const bool special : {false, true}) {
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, {.parse_special = special}), true), text);
    }
  }
}

TEST(SpecialTokens, are_found_leftmost_and_longest_and_only_when_asked) {
  auto source = byte_level_source({});
  for (const auto& [piece, kind] : std::vector<std::pair<std::string, Kind>>{
           {"<a>", Kind::control}, {"<a><b>", Kind::control}, {"<b><b>", Kind::control},
           {"<think>", Kind::user_defined}, {"<|end|>", Kind::user_defined}}) {
    source.pieces.push_back(piece);
    source.kinds.push_back(kind);
  }
  const auto tokenizer = tokenizer_of(source);
  EXPECT_EQ(spelled(*tokenizer, tokenizer->encode("x<a><b><b>y", {.parse_special = true})), "x|<a><b>|<|b|>|y");
  EXPECT_EQ(tokenizer->encode("<a>", {}), (Ids{byte_token('<'), byte_token('a'), byte_token('>')}));
  EXPECT_EQ(tokenizer->encode("<think>", {}), (Ids{262})) << "text of its own, not a turn's marker";
  EXPECT_EQ(tokenizer->encode("<|end|>", {}).size(), 7u) << "spelled like a turn's marker: control, whatever the file says";
  EXPECT_EQ(tokenizer->encode("<|end|>", {.parse_special = true}), (Ids{263}));
  EXPECT_EQ(tokenizer->special("<|im_start|>"), 1);
  EXPECT_EQ(tokenizer->special("<a"), std::nullopt);
  EXPECT_EQ(tokenizer->bytes_of(1, false), "");
  EXPECT_EQ(tokenizer->bytes_of(1, true), "<|im_start|>");
  EXPECT_EQ(tokenizer->bytes_of(262, false), "<think>");
  EXPECT_EQ(tokenizer->bytes_of(264, true), std::nullopt);
  EXPECT_EQ(tokenizer->bytes_of(-1, true), std::nullopt);
}

TEST(SpecialTokens, stand_around_a_text_when_the_vocabulary_says_so) {
  auto source = byte_level_source({});
  source.bos = 1;
  source.add_bos = source.add_eos = true;
  const auto tokenizer = tokenizer_of(source);
  EXPECT_EQ(tokenizer->encode("a", {.add_special = true}), (Ids{1, byte_token('a'), 0}));
  EXPECT_EQ(tokenizer->encode("", {.add_special = true}), (Ids{1, 0}));
  EXPECT_EQ(tokenizer->encode("a", {}), (Ids{byte_token('a')}));
}

TEST(SentencePieceTokenizer, merges_by_score_with_a_blank_in_front_and_bytes_for_the_rest) {
  const auto tokenizer = tokenizer_of(sentencepiece_source(
      {{"_", -9}, {"a", -9}, {"b", -9}, {"c", -9}, {"ab", -3}, {"bc", -2}, {"_a", -4}, {"_ab", -5}, {"\u00E9", -9}}));
  const struct { std::string text, expected; } cases[] = {
      {"abc", " a|bc"},
      {"ab", " ab"}, {"ab ab", " ab| ab"}, {"  a", " | | a"},
      {"\u00E9", " |\u00E9"}, {"\u65E5", " |\xE6|\x97|\xA5"}, {"", ""}, {"\n", " |\n"}};
  for (const auto& c : cases) EXPECT_EQ(spelled(*tokenizer, tokenizer->encode(c.text, {})), c.expected) << c.text;
  EXPECT_EQ(tokenizer->encode("\n", {.add_special = true}), (Ids{1, 259, 3 + 10}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(" ab \u65E5\n", {.add_special = true}), false), " ab \u65E5\n");
  EXPECT_TRUE(tokenizer->strips_leading_space());
}

TEST(SentencePieceTokenizer, puts_the_first_blank_where_a_text_begins_and_none_stands) {
  auto source = sentencepiece_source({{"_", -9}, {"a", -9}, {"_a", -4}});
  source.prepend_space = false;
  source.prefix_space = VocabularySource::PrefixSpace::first;
  const auto tokenizer = tokenizer_of(source);
  const auto encoded = [&](const char* text, bool goes_on) {
    return spelled(*tokenizer, tokenizer->encode(text, {.parse_special = true, .goes_on = goes_on}));
  };
  EXPECT_EQ(encoded("a</s>a a", false), " a|</s>|a| a");
  EXPECT_EQ(encoded(" a", false), " a");
  EXPECT_EQ(encoded("a a", true), "a| a");
  EXPECT_TRUE(tokenizer->strips_leading_space());
}

TEST(SentencePieceTokenizer, makes_no_control_token_of_plain_text) {
  const auto tokenizer = tokenizer_of(sentencepiece_source(
      {{"_", -9}, {"<", -9}, {"/", -9}, {"s", -9}, {">", -9}, {"</", -1}, {"s>", -1}}));
  EXPECT_EQ(spelled(*tokenizer, tokenizer->encode("</s>", {})), " |</|s>") << "though </ and s> together spell </s>, with the best score";
  EXPECT_EQ(tokenizer->encode("</s>", {.parse_special = true}), (Ids{2}));
}

TEST(SentencePieceTokenizer, uses_the_unknown_token_where_bytes_have_none) {
  auto source = sentencepiece_source({{"_", -9}, {"a", -9}});
  source.kinds[3 + 0xE6] = Kind::unused;
  EXPECT_EQ(tokenizer_of(source)->encode("a\u65E5", {}), (Ids{259, 260, 0}));
}

TEST(MakeTokenizer, refuses_tables_that_do_not_fit) {
  const auto message = [](auto change) {
    auto source = byte_level_source({});
    change(source);
    const auto made = make_tokenizer(source);
    return made.ok() ? "made" : made.error().message;
  };
  EXPECT_THAT(message([](auto& s) { s.kind = VocabularySource::Kind::none; }), HasSubstr("no vocabulary"));
  EXPECT_THAT(message([](auto& s) { s.pieces.clear(); }), HasSubstr("no tokens"));
  EXPECT_THAT(message([](auto& s) { s.kinds.pop_back(); }), HasSubstr("258 token types for 259 tokens"));
  EXPECT_THAT(message([](auto& s) { s.bos = 259; }), HasSubstr("bos token 259"));
  EXPECT_THAT(message([](auto& s) { s.eos = {-1}; }), HasSubstr("eos token -1"));
  EXPECT_THAT(message([](auto& s) { s.kind = VocabularySource::Kind::sentencepiece; }), HasSubstr("0 scores"));
  EXPECT_EQ(message([](auto& s) { s.kinds.clear(); }), "made");
}

// Whatever a file says, making and using a tokenizer is an answer or an error: tables drawn at random, text drawn at random.
TEST(MakeTokenizer, survives_any_vocabulary) {
  Random random(17);
  const std::string parts[] = {"a", "b", "<", ">", " ", "\u2581", "\u0120",
                               "\xC3", "\xFF", "<0x41>", "<|im_end|>", "\n", "0", "\xED\xA0\x80"};
  const auto text = [&](std::uint64_t most) {
    std::string made;
    for (std::uint64_t n = random.below(most); n > 0; --n) made += parts[random.below(std::size(parts))];
    return made;
  };
  const char* names[] = {"", "smollm", "default", "gpt-2", "qwen2", "llama-bpe", "nonsense"};
  int made_of = 0;
  for (int round = 0; round < 3000; ++round) {
    VocabularySource source;
    source.kind = random.below(2) == 0 ? VocabularySource::Kind::byte_level_bpe : VocabularySource::Kind::sentencepiece;
    for (std::uint64_t n = random.below(40); n > 0; --n) {
      source.pieces.push_back(text(5));
      source.kinds.push_back(static_cast<Kind>(random.below(6)));
      source.scores.push_back(random.below(9) == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(random.below(5)));
    }
    for (std::uint64_t n = random.below(20); n > 0; --n) source.merges.emplace_back(text(3), text(3));
    source.pre_tokenizer = names[random.below(std::size(names))];
    if (random.below(4) == 0) {
      source.splits.push_back({VocabularySource::Split::Kind::regex, text(4) + (random.below(2) ? "+" : "(|"), false});
    }
    source.ignore_merges = random.below(2) == 0;
    source.prepend_space = random.below(2) == 0;
    source.split_at_spaces = random.below(2) == 0;
    source.prefix_space = static_cast<VocabularySource::PrefixSpace>(random.below(3));
    for (std::uint64_t n = random.below(4); n > 0; --n) {
      const auto token = static_cast<TokenId>(random.below(45)) - 2;
      source.added.push_back({token, random.below(2) == 0, random.below(2) == 0, random.below(2) == 0});
    }
    if (random.below(3) == 0) source.scores.clear();
    source.add_bos = source.add_eos = random.below(2) == 0;
    if (random.below(2) == 0) source.bos = static_cast<TokenId>(random.below(40));
    if (random.below(2) == 0) source.unknown = static_cast<TokenId>(random.below(40)) - 1;
    if (random.below(2) == 0) source.eos = {static_cast<TokenId>(random.below(40))};
    const auto made = make_tokenizer(source);
    if (!made.ok()) continue;
    ++made_of;
    for (int k = 0; k < 5; ++k) {
      const auto tokens = (*made)->encode(text(30), {.parse_special = random.below(2) == 0, .add_special = random.below(2) == 0});
      for (const TokenId token : tokens) ASSERT_LT(static_cast<std::uint32_t>(token), (*made)->vocabulary());
      (*made)->decode(tokens, random.below(2) == 0);
    }
  }
  EXPECT_GT(made_of, 300);
}

// Long runs that a careless merger or pattern takes seconds or hours for; here each ends within the test's own limit.
TEST(TokenizerSlow, takes_a_megabyte_of_anything_in_its_stride) {
  auto bpe = byte_level_source({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}, {" ", " "}, {"  ", "  "}, {"a", "b"}});
  auto pieces = sentencepiece_source({{"_", -9}, {"a", -9}, {"aa", -1}, {"aaaa", -2}, {"__", -3}, {"b", -9}});
  std::vector<std::shared_ptr<const Tokenizer>> tokenizers{tokenizer_of(pieces)};
  for (const char* name : {"smollm", "default", "llama-bpe", "qwen2"}) {
    bpe.pre_tokenizer = name;
    tokenizers.push_back(tokenizer_of(bpe));
  }
  for (const std::string unit : {" ", "a", "\n", "<", "<|im_", "1", "'", " \n", "a ", "\xFF", "\u0301", "\r\n ", "ab!"}) {
    std::string text;
    while (text.size() < (1u << 20)) text += unit;
    for (const auto& tokenizer : tokenizers) EXPECT_GT(tokenizer->encode(text, {.parse_special = true}).size(), 1000u) << unit;
  }
}

}  // namespace
}  // namespace baton::test
