#include "runtime/text/pre_tokenizer.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <array>
#include <span>
#include <string>

namespace baton {
namespace {

using Passes = std::vector<std::string>;

const char* const kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Each \p{N} alone, then kGpt2 on what lies between: in one pass. White space before a digit stands at the end of its piece.
const char* const kDigitsThenGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+)";

const char* const kLlama3 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
                            R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
const char* const kQwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
                           R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Named {
  std::string_view name;
  Passes passes;
};

const std::vector<Named>& known() {
  static const std::vector<Named> table = {
      {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {"gpt-2", {kGpt2}},
      {"smollm", {kDigitsThenGpt2}},
      {"starcoder", {kDigitsThenGpt2}},
      {"refact", {kDigitsThenGpt2}},
      {"command-r", {kDigitsThenGpt2}},
      {"llama-bpe", {kLlama3}},
      {"llama3", {kLlama3}},
      {"llama-v3", {kLlama3}},
      {"qwen2", {kQwen2}},
      {"deepseek-r1-qwen", {kQwen2}},
  };
  return table;
}

Passes passes_of(const std::vector<VocabularySource::Split>& splits) {
  using Kind = VocabularySource::Split::Kind;
  Passes passes;
  bool digits_alone = false;             // the pass before isolates each digit
  for (const auto& split : splits) {
    const bool individual = split.kind == Kind::digits && split.individual_digits;
    switch (split.kind) {
      case Kind::digits: passes.push_back(individual ? R"(\p{N})" : R"(\p{N}+)"); break;
      case Kind::digit_groups: passes.push_back(R"(\p{N}+)"); break;
      case Kind::regex: passes.push_back(split.pattern); break;
      case Kind::byte_level_gpt2:
        if (digits_alone) passes.back() = kDigitsThenGpt2;
        else passes.push_back(kGpt2);
        break;
    }
    digits_alone = individual;
  }
  return passes;
}

}  // namespace

std::vector<std::string_view> PreTokenizer::names() {
  std::vector<std::string_view> names;
  for (const auto& entry : known()) names.push_back(entry.name);
  return names;
}

Result<PreTokenizer> PreTokenizer::make(const VocabularySource& source) {
  Passes expressions = passes_of(source.splits);
  if (source.splits.empty()) {
    const std::string_view name = source.pre_tokenizer.empty() ? "default" : std::string_view(source.pre_tokenizer);
    bool found = false;
    for (const auto& entry : known()) {
      if (entry.name != name) continue;
      expressions = entry.passes;
      found = true;
    }
    if (!found) {
      return Error{ErrorCode::unsupported, Scope::instance,
                   fmt::format("the model's pre-tokeniser \"{}\" is not known, and another would split text wrongly; known are {}",
                               name, fmt::join(names(), ", "))};
    }
  }
  std::vector<Pattern> passes;
  for (const auto& expression : expressions) {
    auto pattern = Pattern::compile(expression);
    if (!pattern) return pattern.error();
    passes.push_back(std::move(pattern).value());
  }
  return PreTokenizer(std::move(passes));
}

void PreTokenizer::split(std::string_view text, PatternSearch& search, std::vector<TextSpan>& pieces) const {
  if (text.empty()) return;
  const std::size_t first = pieces.size();
  pieces.push_back({0, text.size()});
  std::vector<TextSpan> whole;
  for (const auto& pass : passes_) {
    whole.assign(pieces.begin() + static_cast<std::ptrdiff_t>(first), pieces.end());
    pieces.resize(first);
    for (const TextSpan piece : whole) {
      const std::string_view subject = text.substr(piece.begin, piece.end - piece.begin);
      std::size_t at = 0;
      while (at < subject.size()) {
        const auto match = search.find(pass, subject, at);
        if (!match) break;                        // none, or too laborious: the rest stays one piece
        if (match->begin > at) pieces.push_back({piece.begin + at, piece.begin + match->begin});
        pieces.push_back({piece.begin + match->begin, piece.begin + match->end});
        at = match->end;
      }
      if (at < subject.size()) pieces.push_back({piece.begin + at, piece.end});
    }
  }
}

}  // namespace baton
