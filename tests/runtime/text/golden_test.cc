// The default model's vocabulary against rows made with llama.cpp.
#include <gtest/gtest.h>

#include "runtime/text/make_tokenizer.h"
#include "tests/runtime/text/text_helpers.h"

namespace baton::test {
namespace {

TEST(GoldenTokenizer, encodes_every_row_as_llama_cpp_does) {
  SKIP_WITHOUT_GOLDEN();
  const auto tokenizer = default_tokenizer();
  const auto rows = golden_rows("tokenizer.jsonl");
  ASSERT_EQ(rows.size(), 423u);
  for (const auto& row : rows) {
    const auto text = row["text"].get<std::string>();
    const auto ids = tokenizer->encode(text, {.parse_special = row["parse_special"].get<bool>()});
    EXPECT_EQ(ids, row["ids"].get<std::vector<TokenId>>()) << row["text"];
  }
}

TEST(GoldenTokenizer, decodes_what_it_encoded) {
  SKIP_WITHOUT_GOLDEN();
  const auto tokenizer = default_tokenizer();
  for (const auto& row : golden_rows("tokenizer.jsonl")) {
    const auto text = row["text"].get<std::string>();
    const std::string expected = row["round_trip"].get<bool>() ? text
                                 : row.contains("decoded_hex") ? from_hex(row["decoded_hex"].get<std::string>())
                                                               : row["decoded"].get<std::string>();
    EXPECT_EQ(tokenizer->decode(row["ids"].get<std::vector<TokenId>>(), true), expected) << row["text"];
  }
}

TEST(GoldenTokenizer, reads_invalid_utf8_as_llama_cpp_does_and_replaces_where_that_aborts) {
  SKIP_WITHOUT_GOLDEN();
  const auto tokenizer = default_tokenizer();
  for (const auto& row : golden_rows("tokenizer_invalid_utf8.jsonl")) {
    const auto text = from_hex(row["bytes_hex"].get<std::string>());
    const auto ids = tokenizer->encode(text, {.parse_special = row["parse_special"].get<bool>()});
    if (row["ids"].is_null()) {
      EXPECT_EQ(tokenizer->decode(ids, true), "\uFFFD\uFFFD\uFFFD\uFFFD") << row;
    } else {
      EXPECT_EQ(ids, row["ids"].get<std::vector<TokenId>>()) << row;
    }
  }
}

TEST(GoldenTokenizer, detokenizes_every_row) {
  SKIP_WITHOUT_GOLDEN();
  const auto tokenizer = default_tokenizer();
  const auto rows = golden_rows("detokenize.jsonl");
  ASSERT_EQ(rows.size(), 120u);
  for (const auto& row : rows) {
    EXPECT_EQ(tokenizer->decode(row["ids"].get<std::vector<TokenId>>(), row["special"].get<bool>()),
              from_hex(row["bytes_hex"].get<std::string>()))
        << row["ids"];
  }
}

}  // namespace
}  // namespace baton::test
