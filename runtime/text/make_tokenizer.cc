#include "runtime/text/make_tokenizer.h"

#include <spdlog/fmt/fmt.h>

#include <limits>

#include "runtime/text/byte_level_tokenizer.h"
#include "runtime/text/sentencepiece_tokenizer.h"

namespace baton {
namespace {

Error unfit(std::string what) {
  return Error{ErrorCode::invalid_file, Scope::instance, "the model's vocabulary cannot be used: " + std::move(what)};
}

Status check(const VocabularySource& source) {
  const std::size_t size = source.pieces.size();
  if (size == 0) return unfit("it has no tokens");
  if (size > static_cast<std::size_t>(std::numeric_limits<TokenId>::max()) / 4) return unfit("it has too many tokens");
  if (!source.kinds.empty() && source.kinds.size() != size) {
    return unfit(fmt::format("{} token types for {} tokens", source.kinds.size(), size));
  }
  const bool merges_stated = source.scores.empty() && !source.merges.empty();
  if (source.kind == VocabularySource::Kind::sentencepiece && !merges_stated && source.scores.size() != size) {
    return unfit(fmt::format("{} scores for {} tokens", source.scores.size(), size));
  }
  const auto outside = [&](TokenId token) { return token < 0 || static_cast<std::size_t>(token) >= size; };
  if (source.bos && outside(*source.bos)) return unfit(fmt::format("bos token {} of {} tokens", *source.bos, size));
  if (source.unknown && outside(*source.unknown)) return unfit(fmt::format("unknown token {} of {} tokens", *source.unknown, size));
  for (const TokenId eos : source.eos) {
    if (outside(eos)) return unfit(fmt::format("eos token {} of {} tokens", eos, size));
  }
  return ok();
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_tokenizer(const VocabularySource& source) {
  if (source.kind == VocabularySource::Kind::none) {
    return Error{ErrorCode::unsupported, Scope::instance,
                 "the model has no vocabulary that can be used; known are byte-level BPE (gpt2) and SentencePiece (llama)"};
  }
  if (const Status fits = check(source); !fits) return fits.error();
  if (source.kind == VocabularySource::Kind::sentencepiece) {
    return std::shared_ptr<const Tokenizer>(std::make_shared<SentencePieceTokenizer>(source));
  }
  auto pre_tokenizer = PreTokenizer::make(source);
  if (!pre_tokenizer) return pre_tokenizer.error();
  return std::shared_ptr<const Tokenizer>(std::make_shared<ByteLevelTokenizer>(source, std::move(pre_tokenizer).value()));
}

}  // namespace baton
