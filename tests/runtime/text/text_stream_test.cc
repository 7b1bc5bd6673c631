#include <gtest/gtest.h>

#include <map>

#include "runtime/base/random.h"
#include "runtime/text/text_stream.h"
#include "runtime/text/utf8.h"
#include "tests/runtime/text/text_helpers.h"

namespace baton::test {
namespace {

// Tokens that are what the test says, in bytes: id 0 is a control token "<|c|>".
class BytesTokenizer final : public Tokenizer {
 public:
  explicit BytesTokenizer(std::vector<std::string> pieces, bool strips = false) : pieces_(std::move(pieces)), strips_(strips) {
    pieces_.insert(pieces_.begin(), "<|c|>");
  }
  std::vector<TokenId> encode(std::string_view, EncodeOptions) const override { return {}; }
  std::optional<std::string> bytes_of(TokenId token, bool spell_special) const override {
    if (token < 0 || static_cast<std::size_t>(token) >= pieces_.size()) return std::nullopt;
    return token == 0 && !spell_special ? std::string() : pieces_[static_cast<std::size_t>(token)];
  }
  std::uint32_t vocabulary() const override { return static_cast<std::uint32_t>(pieces_.size()); }
  bool is_special(TokenId token) const override { return token == 0; }
  std::optional<TokenId> special(std::string_view) const override { return std::nullopt; }
  const std::vector<TokenId>& eos_tokens() const override { return eos_; }
  std::optional<TokenId> bos() const override { return std::nullopt; }
  bool strips_leading_space() const override { return strips_; }

 private:
  std::vector<std::string> pieces_;
  std::vector<TokenId> eos_;
  bool strips_;
};

// The deltas of tokens 1, 2, ... in order, then finish(); "!" before the delta that stopped.
std::vector<std::string> deltas(const std::vector<std::string>& pieces, TextStream::Options options, bool strips = false) {
  const auto tokenizer = std::make_shared<BytesTokenizer>(pieces, strips);
  TextStream stream(tokenizer, std::move(options));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto delta = stream.push(static_cast<TokenId>(i + 1));
    out.push_back((delta.stopped ? "!" + delta.matched + "!" : "") + delta.text);
  }
  out.push_back(stream.finish());
  return out;
}

TEST(TextStream, delivers_whole_characters_only) {
  using Strings = std::vector<std::string>;
  const struct { Strings pieces, expected; } cases[] = {
      {{"a", "\xF0\x9F", "\x98", "\x80z"}, {"a", "", "", "\U0001F600z", ""}},
      {{"\xE2\x82"}, {"", "\uFFFD"}},                                   // unfinished at the end
      {{"\xE2\x82", "x"}, {"", "\uFFFDx", ""}},                         // broken off
      {{"\xFF\xC0", "\xED\xA0\x80"}, {"\uFFFD\uFFFD", "\uFFFD\uFFFD\uFFFD", ""}},
      {{"\xE2\x82\xE2", "\x82\xAC"}, {"\uFFFD", "\u20AC", ""}},
  };
  for (const auto& c : cases) EXPECT_EQ(deltas(c.pieces, {}), c.expected);
}

TEST(TextStream, holds_back_only_what_can_still_begin_a_stop_string) {
  using Strings = std::vector<std::string>;
  const struct { Strings stop, pieces, expected; } cases[] = {
      {{"END"}, {"a E", "N", "d", "END, more"}, {"a ", "", "ENd", "!END!", ""}},
      {{"END"}, {"a E", "N"}, {"a ", "", "EN"}},
      {{"aab"}, {"aa", "aa", "b!"}, {"", "aa", "!aab!", ""}},
      {{"abcd", "bc"}, {"xab", "c", "d"}, {"x", "!bc!a", "", ""}},      // first complete, not first begun
      {{"b", "aab"}, {"za", "a", "b"}, {"z", "", "!aab!", ""}},         // complete together: the longest
      {{"\u20AC"}, {"x\xE2", "\x82", "\xAC", "y"}, {"x", "", "!\u20AC!", "", ""}},
      {{"\u20AC!"}, {"x\u20AC", "y"}, {"x", "\u20ACy", ""}},
      {{"", "q"}, {"a", "q"}, {"a", "!q!", ""}},
      {{"ab"}, {"ab", "later"}, {"!ab!", "", ""}},
  };
  for (const auto& c : cases) EXPECT_EQ(deltas(c.pieces, {.stop = c.stop}), c.expected) << c.stop[0];
  EXPECT_EQ(deltas({"a E", "ND b"}, {.stop = {"END"}, .include_stop = true}), (Strings{"a ", "!END!END", ""}));
}

TEST(TextStream, spells_special_tokens_only_when_told) {
  const auto tokenizer = std::make_shared<BytesTokenizer>(std::vector<std::string>{"x"});
  TextStream quiet(tokenizer, {});
  EXPECT_EQ(quiet.push(0).text + quiet.push(1).text + quiet.push(99).text, "x");
  TextStream loud(tokenizer, {.stop = {"c|>x"}, .skip_special = false});
  EXPECT_EQ(loud.push(0).text, "<|");
  EXPECT_TRUE(loud.push(1).stopped);
}

TEST(TextStream, drops_the_dummy_blank_of_sentencepiece_once_and_only_at_the_start) {
  using Strings = std::vector<std::string>;
  EXPECT_EQ(deltas({" a", " b"}, {}, true), (Strings{"a", " b", ""}));
  EXPECT_EQ(deltas({" a", " b"}, {.keep_leading_space = true}, true), (Strings{" a", " b", ""}));
  EXPECT_EQ(deltas({"a", " b"}, {}, true), (Strings{"a", " b", ""}));
  EXPECT_EQ(deltas({" ", " b"}, {}, true), (Strings{"", " b", ""}));
}

// What the header promises, said directly: decode everything, replace what is no UTF-8, cut at the first complete stop string.
std::string oracle(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens, const TextStream::Options& options,
                   std::string& matched) {
  Utf8Decoder decoder;
  std::string text;
  decoder.push(tokenizer.decode(tokens, !options.skip_special), text);
  decoder.finish(text);
  for (std::size_t end = 1; end <= text.size(); ++end) {
    for (const auto& stop : options.stop) {
      if (!stop.empty() && std::string_view(text).substr(0, end).ends_with(stop) && stop.size() > matched.size()) matched = stop;
    }
    if (!matched.empty()) return text.substr(0, end - (options.include_stop ? 0 : matched.size()));
  }
  return text;
}

TEST(TextStream, equals_the_whole_text_cut_at_the_first_stop_for_any_tokens_and_stops) {
  Random random(2024);
  const std::string bytes[] = {"a", "b", "ab", " ", "ba", "\xC3", "\xA9", "\xE2\x82", "\xAC",
                               "\xF0", "\x9F\x98\x80", "\xFF", "a\xC3", "\u20AC", "<|"};
  const std::string stops[] = {"", "ab", "aba", "b a", "\u20AC", "\u00E9a", "\uFFFD", "aab", "bb", "<|c|>", "a\uFFFDb", "|c"};
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::string> pieces;
    for (std::uint64_t n = 1 + random.below(6); n > 0; --n) {
      std::string piece;
      for (std::uint64_t k = 1 + random.below(3); k > 0; --k) piece += bytes[random.below(std::size(bytes))];
      pieces.push_back(piece);
    }
    const auto tokenizer = std::make_shared<BytesTokenizer>(pieces, random.below(2) == 0);
    TextStream::Options options{.include_stop = random.below(2) == 0, .skip_special = random.below(2) == 0};
    for (std::uint64_t n = random.below(4); n > 0; --n) options.stop.push_back(stops[random.below(std::size(stops))]);
    std::vector<TokenId> tokens;
    for (std::uint64_t n = random.below(12); n > 0; --n) tokens.push_back(static_cast<TokenId>(random.below(pieces.size() + 2)));

    TextStream stream(tokenizer, options);
    std::string text, matched, expected_match;
    bool stopped = false;
    for (const TokenId token : tokens) {
      const auto delta = stream.push(token);
      ASSERT_TRUE(is_valid_utf8(delta.text));
      ASSERT_TRUE(!stopped || delta.text.empty());
      text += delta.text;
      if (delta.stopped) stopped = true, matched = delta.matched;
    }
    text += stream.finish();
    ASSERT_EQ(text, oracle(*tokenizer, tokens, options, expected_match)) << "round " << round;
    if (stopped) {
      ASSERT_EQ(matched, expected_match);
    }
  }
}

}  // namespace
}  // namespace baton::test
