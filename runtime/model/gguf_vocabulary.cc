// tokenizer.ggml.* to VocabularySource: byte-level BPE ("gpt2") and SentencePiece ("llama").
#include <algorithm>
#include <iterator>
#include <utility>

#include "runtime/model/gguf_keys.h"
#include "runtime/model/model_parts.h"

namespace baton {
namespace {

using TokenKind = VocabularySource::TokenKind;

class VocabularyReader {
 public:
  explicit VocabularyReader(const GgufFile& file) : file_(file), keys_(file) {}

  Result<VocabularySource> run() {
    const std::string model = keys_.string("tokenizer.ggml.model", "none");
    if (keys_.error()) return *keys_.error();
    if (model == "none" || model == "no_vocab") return std::move(out_);
    if (model == "gpt2") {
      out_.kind = VocabularySource::Kind::byte_level_bpe;
    } else if (model == "llama") {
      out_.kind = VocabularySource::Kind::sentencepiece;
    } else {
      keys_.fail(ErrorCode::unsupported, "tokenizer.ggml.model",
                 fmt::format("{} vocabularies are not supported; supported: gpt2 (byte-level BPE), llama (SentencePiece)", model));
      return *keys_.error();
    }
    read_pieces();
    if (out_.kind == VocabularySource::Kind::byte_level_bpe) {
      read_merges();
    } else {
      read_scores();
    }
    read_flags();
    read_special_tokens();
    if (keys_.error()) return *keys_.error();
    add_known_end_tokens(out_);
    return std::move(out_);
  }

 private:
  void invalid(std::string_view key, std::string_view message) { keys_.fail(ErrorCode::invalid_file, key, message); }

  void read_pieces() {
    const GgufValue* tokens = file_.find("tokenizer.ggml.tokens");
    const auto pieces = tokens ? tokens->strings() : std::nullopt;
    if (!pieces || pieces->empty()) {
      return invalid("tokenizer.ggml.tokens",
                     fmt::format("expected an array of strings, found {}", tokens ? tokens->describe() : "nothing"));
    }
    out_.pieces.assign(pieces->begin(), pieces->end());
    out_.kinds.assign(out_.pieces.size(), TokenKind::normal);
    const GgufValue* types = file_.find("tokenizer.ggml.token_type");
    if (types == nullptr) return;
    const auto kinds = types->unsigned_integers();
    if (!kinds || kinds->size() != out_.pieces.size()) {
      return invalid("tokenizer.ggml.token_type", fmt::format("expected an array of {} integers, found {} of {}",
                                                              out_.pieces.size(), types->describe(), types->count));
    }
    for (std::size_t i = 0; i < kinds->size(); ++i) {
      static constexpr TokenKind kKinds[] = {TokenKind::normal,       TokenKind::normal, TokenKind::unknown, TokenKind::control,
                                             TokenKind::user_defined, TokenKind::unused, TokenKind::byte};
      if ((*kinds)[i] >= std::size(kKinds)) {
        return invalid("tokenizer.ggml.token_type", fmt::format("token {} has type {}, expected 0 to 6", i, (*kinds)[i]));
      }
      out_.kinds[i] = kKinds[(*kinds)[i]];
    }
  }

  void read_merges() {
    const GgufValue* value = file_.find("tokenizer.ggml.merges");
    const auto merges = value ? value->strings() : std::nullopt;
    if (!merges) {
      return invalid("tokenizer.ggml.merges",
                     fmt::format("expected an array of strings, found {}", value ? value->describe() : "nothing"));
    }
    out_.merges.reserve(merges->size());
    for (std::size_t i = 0; i < merges->size(); ++i) {
      const std::string_view merge = (*merges)[i];
      const std::size_t space = merge.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merge.size()) {
        return invalid("tokenizer.ggml.merges", fmt::format("merge {} is not two pieces with a blank between them", i));
      }
      out_.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    }
  }

  void read_scores() {
    const GgufValue* value = file_.find("tokenizer.ggml.scores");
    auto scores = value ? value->floats() : std::nullopt;
    if (!scores || scores->size() != out_.pieces.size()) {
      return invalid("tokenizer.ggml.scores",
                     fmt::format("expected an array of {} f32, found {}", out_.pieces.size(), value ? value->describe() : "nothing"));
    }
    const auto bad = std::find_if(scores->begin(), scores->end(), [](float score) { return score != score; });
    if (bad != scores->end()) return invalid("tokenizer.ggml.scores", fmt::format("token {} has no number", bad - scores->begin()));
    out_.scores = std::move(*scores);
  }

  // A file says what differs from the habit of its kind of vocabulary.
  void read_flags() {
    const bool sentencepiece = out_.kind == VocabularySource::Kind::sentencepiece;
    out_.pre_tokenizer = sentencepiece ? "" : keys_.string("tokenizer.ggml.pre", "");
    static constexpr std::string_view kWholePieces[] = {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "tekken"};
    static constexpr std::string_view kBos[] = {"llama3", "llama-v3", "llama-bpe", "tekken"};
    const auto among = [&](std::span<const std::string_view> names) {
      return std::find(names.begin(), names.end(), out_.pre_tokenizer) != names.end();
    };
    out_.ignore_merges = among(kWholePieces);
    out_.add_bos = keys_.boolean("tokenizer.ggml.add_bos_token", sentencepiece || among(kBos));
    out_.add_eos = keys_.boolean("tokenizer.ggml.add_eos_token", false);
    const bool space = keys_.boolean("tokenizer.ggml.add_space_prefix", sentencepiece);
    out_.prepend_space = space && sentencepiece;
    if (space && !sentencepiece) out_.prefix_space = VocabularySource::PrefixSpace::always;
  }

  std::optional<TokenId> token(std::string_view key, std::optional<TokenId> absent) {
    if (!keys_.has(key)) return absent && static_cast<std::size_t>(*absent) < out_.pieces.size() ? absent : std::nullopt;
    const std::uint64_t last = out_.pieces.empty() ? 0 : out_.pieces.size() - 1;
    return static_cast<TokenId>(keys_.integer(key, 0, last));
  }

  void read_special_tokens() {
    const bool sentencepiece = out_.kind == VocabularySource::Kind::sentencepiece;
    const auto habit = [&](TokenId id) { return sentencepiece ? std::optional<TokenId>(id) : std::nullopt; };
    out_.unknown = token("tokenizer.ggml.unknown_token_id", habit(0));
    out_.bos = token("tokenizer.ggml.bos_token_id", habit(1));
    for (const auto& end : {token("tokenizer.ggml.eos_token_id", habit(2)), token("tokenizer.ggml.eot_token_id", std::nullopt),
                            token("tokenizer.ggml.eom_token_id", std::nullopt)}) {
      if (end && std::find(out_.eos.begin(), out_.eos.end(), *end) == out_.eos.end()) out_.eos.push_back(*end);
    }
  }

  const GgufFile& file_;
  GgufKeys keys_;
  VocabularySource out_;
};

}  // namespace

Result<VocabularySource> read_gguf_vocabulary(const GgufFile& file) { return VocabularyReader(file).run(); }

void add_known_end_tokens(VocabularySource& vocabulary) {
  static constexpr std::string_view kEnds[] = {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>"};
  for (std::size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    const TokenKind kind = vocabulary.kinds[id];
    if (kind != TokenKind::control && kind != TokenKind::user_defined) continue;
    if (std::find(std::begin(kEnds), std::end(kEnds), vocabulary.pieces[id]) == std::end(kEnds)) continue;
    const auto token = static_cast<TokenId>(id);
    if (std::find(vocabulary.eos.begin(), vocabulary.eos.end(), token) == vocabulary.eos.end()) vocabulary.eos.push_back(token);
  }
}

}  // namespace baton
