// What the tests of text share: golden rows, the default model's vocabulary, and small vocabularies made by hand.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/loaded_model.h"
#include "runtime/text/tokenizer.h"

namespace baton::test {

// Why golden tests cannot run here ("BATON_SHARED is not set", ...); empty: they can.
std::string why_no_golden();
std::string why_no_model();
std::vector<nlohmann::json> golden_rows(const std::string& file);
const LoadedModel& default_model();
std::shared_ptr<const Tokenizer> default_tokenizer();

std::string from_hex(std::string_view hex);

// Byte-level BPE: specials "<|endoftext|>", "<|im_start|>", "<|im_end|>" (0, 1, 2), then the 256 bytes in order (id 3 + byte), then
// one token for each merge, "left right" as text (not in the byte alphabet's spelling).
VocabularySource byte_level_source(const std::vector<std::pair<std::string, std::string>>& merges,
                                   std::string pre_tokenizer = "smollm");
constexpr TokenId byte_token(unsigned char byte) { return 3 + byte; }

// SentencePiece: <unk>, <s>, </s> (0, 1, 2), 256 byte tokens (id 3 + byte), then `pieces` with their scores. "_" stands for U+2581.
VocabularySource sentencepiece_source(const std::vector<std::pair<std::string, float>>& pieces);

// Fails the test and ends it by a CHECK when the vocabulary is refused.
std::shared_ptr<const Tokenizer> tokenizer_of(const VocabularySource& source);

// The tokens' own text, joined by "|": what a reader compares at a glance.
std::string spelled(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens);

}  // namespace baton::test

#define SKIP_WITHOUT_GOLDEN()                                                            \
  if (const std::string why = ::baton::test::why_no_golden(); !why.empty()) GTEST_SKIP() << why
#define SKIP_WITHOUT_MODEL()                                                             \
  if (const std::string why = ::baton::test::why_no_model(); !why.empty()) GTEST_SKIP() << why
