// tokenizer.json files of many shapes against what the library that wrote them makes of texts (make_tokenizer_rows.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "runtime/model/hf_files.h"
#include "tests/runtime/text/text_helpers.h"

namespace baton::test {
namespace {

using nlohmann::json;

std::shared_ptr<const Tokenizer> read(const json& row) {
  HfFiles files;
  files.directory = row["name"];
  files.tokenizer = row["tokenizer"].dump();
  HfConfig config;
  config.spec.vocabulary = row["vocabulary"];
  const auto vocabulary = read_hf_vocabulary(files, config);
  CHECK(vocabulary.ok(), "{}", vocabulary.error().message);
  return tokenizer_of(*vocabulary);
}

// Another file of rows, larger than is worth keeping, can be named by BATON_TOKENIZER_ROWS.
TEST(HuggingFaceTokenizer, has_the_tokens_of_the_library_that_wrote_it) {
  const char* chosen = std::getenv("BATON_TOKENIZER_ROWS");
  std::ifstream in(chosen != nullptr ? chosen : BATON_TEXT_TESTS "/tokenizer_rows.jsonl");
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string name;
  std::size_t rows = 0;
  for (std::string line; std::getline(in, line);) {
    const json row = json::parse(line);
    if (row.contains("tokenizer")) {
      name = row["name"];
      tokenizer = read(row);
      continue;
    }
    ++rows;
    const auto ids = tokenizer->encode(row["text"].get<std::string>(), {.parse_special = row["special"].get<bool>()});
    EXPECT_EQ(ids, row["ids"].get<std::vector<TokenId>>()) << name << ": " << row;
  }
  EXPECT_GE(rows, 2000u);
}

}  // namespace
}  // namespace baton::test
