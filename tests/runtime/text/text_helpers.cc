#include "tests/runtime/text/text_helpers.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runtime/base/check.h"
#include "runtime/text/byte_alphabet.h"
#include "runtime/text/make_tokenizer.h"
#include "tests/default_model.h"

namespace baton::test {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

std::string why_no_model() {
  const std::string path = default_model_path();
  return std::filesystem::exists(path) ? "" : "the default model is not at " + path + " (BATON_MODEL names another)";
}

std::string why_no_golden() {
  if (environment("BATON_SHARED").empty()) return "BATON_SHARED is not set";
  return why_no_model();
}

std::vector<nlohmann::json> golden_rows(const std::string& file) {
  const std::string path = environment("BATON_SHARED") + "/golden/smollm2/" + file;
  std::ifstream in(path);
  CHECK(in.good(), "cannot read {}", path);
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(in, line);) rows.push_back(nlohmann::json::parse(line));
  return rows;
}

const LoadedModel& default_model() {
  static const auto model = [] {
    auto loaded = load_model(default_model_path(), {.weights = false});
    CHECK(loaded.ok(), "{}", loaded.error().message);
    return std::move(loaded).value();
  }();
  return *model;
}

std::shared_ptr<const Tokenizer> default_tokenizer() {
  static const auto tokenizer = tokenizer_of(default_model().vocabulary());
  return tokenizer;
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

VocabularySource byte_level_source(const std::vector<std::pair<std::string, std::string>>& merges, std::string pre_tokenizer) {
  using Kind = VocabularySource::TokenKind;
  VocabularySource source;
  source.kind = VocabularySource::Kind::byte_level_bpe;
  source.pre_tokenizer = std::move(pre_tokenizer);
  source.pieces = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  source.kinds.assign(3, Kind::control);
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    source.pieces.push_back(piece_of_bytes({&character, 1}));
  }
  for (const auto& [left, right] : merges) {
    source.merges.emplace_back(piece_of_bytes(left), piece_of_bytes(right));
    source.pieces.push_back(piece_of_bytes(left + right));
  }
  source.kinds.resize(source.pieces.size(), Kind::normal);
  source.eos = {0, 2};
  return source;
}

VocabularySource sentencepiece_source(const std::vector<std::pair<std::string, float>>& pieces) {
  using Kind = VocabularySource::TokenKind;
  VocabularySource source;
  source.kind = VocabularySource::Kind::sentencepiece;
  source.pieces = {"<unk>", "<s>", "</s>"};
  source.kinds = {Kind::unknown, Kind::control, Kind::control};
  for (unsigned byte = 0; byte < 256; ++byte) {
    source.pieces.push_back(fmt::format("<0x{:02X}>", byte));
    source.kinds.push_back(Kind::byte);
  }
  source.scores.assign(source.pieces.size(), 0.0f);
  for (const auto& [piece, score] : pieces) {
    std::string spelled;
    for (const char c : piece) c == '_' ? spelled += "\xE2\x96\x81" : spelled += c;
    source.pieces.push_back(spelled);
    source.kinds.push_back(Kind::normal);
    source.scores.push_back(score);
  }
  source.prepend_space = true;
  source.add_bos = true;
  source.bos = 1;
  source.eos = {2};
  source.unknown = 0;
  return source;
}

std::shared_ptr<const Tokenizer> tokenizer_of(const VocabularySource& source) {
  auto made = make_tokenizer(source);
  CHECK(made.ok(), "{}", made.error().message);
  return std::move(made).value();
}

std::string spelled(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens) {
  std::string text;
  for (const TokenId token : tokens) {
    if (!text.empty()) text += '|';
    text += tokenizer.bytes_of(token, true).value_or("?");
  }
  return text;
}

}  // namespace baton::test
