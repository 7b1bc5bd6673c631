// A device whose KV and tokens can be computed by hand: the KV of a token at a layer is a hash of the KV before it and the
// token, and a sample is a hash of all the KV that the sequence's blocks hold at that moment. A wrong, stale or overwritten
// block changes the output.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/random.h"
#include "runtime/instance/instance_events.h"

namespace baton::testing {

inline constexpr std::uint64_t kFakeModel = 77;
inline constexpr TokenId kFakeVocabulary = 1000;

inline std::uint64_t fake_kv(std::uint64_t before, TokenId token, std::uint32_t position, std::uint32_t layer) {
  return draw64(before ^ layer, static_cast<std::uint64_t>(token), position);
}

inline ScoredToken fake_sample(std::uint64_t all_kv, std::uint64_t seed, std::uint32_t choice, std::uint64_t position) {
  const std::uint64_t drawn = draw64(all_kv ^ seed, choice, position);
  return {{static_cast<TokenId>(drawn % kFakeVocabulary), static_cast<float>(drawn >> 44), 1}, {}};
}

inline ScoredToken fake_score(std::uint64_t kv_before, TokenId token) {
  return {{token, static_cast<float>(kv_before >> 44), 1}, {}};
}

// What an undisturbed run answers: computed from the tokens alone, without blocks.
inline std::vector<TokenId> expected_output(std::vector<TokenId> tokens, std::uint32_t prompt_tokens,
                                            const SamplingParams& sampling, std::uint32_t choice, std::uint32_t layers,
                                            const std::vector<TokenId>& eos) {
  std::vector<std::uint64_t> last(layers);
  std::uint64_t all = 0;
  std::size_t done = 0;
  std::vector<TokenId> output(tokens.begin() + prompt_tokens, tokens.end());
  while (output.size() < sampling.max_tokens) {
    for (; done < tokens.size(); ++done) {
      for (std::uint32_t layer = 0; layer < layers; ++layer) {
        all += last[layer] = fake_kv(last[layer], tokens[done], static_cast<std::uint32_t>(done), layer);
      }
    }
    const TokenId next = fake_sample(all, sampling.seed, choice, tokens.size()).chosen.token;
    tokens.push_back(next);
    output.push_back(next);
    const bool may_end = output.size() > sampling.min_tokens && !sampling.ignore_eos;
    if (may_end && std::find(eos.begin(), eos.end(), next) != eos.end()) break;
  }
  return output;
}

class FakeDevice {
 public:
  FakeDevice(std::uint32_t layers, std::uint32_t blocks, std::uint32_t block_tokens)
      : layers_(layers), block_tokens_(block_tokens), kv_(std::size_t{layers} * blocks * block_tokens), blocks_(blocks) {}

  std::uint64_t& kv(std::uint32_t layer, BlockId block, std::uint32_t offset) {
    return kv_[(std::size_t{layer} * blocks_ + block.value) * block_tokens_ + offset];
  }

  // A slot's bytes, as many tokens as it holds of a transfer of `tokens`.
  std::vector<std::uint64_t> read(std::uint32_t layer, BlockId block, std::uint32_t ordinal, std::uint32_t tokens) {
    const std::uint32_t held = std::min(block_tokens_, tokens - ordinal * block_tokens_);
    std::vector<std::uint64_t> bytes;
    for (std::uint32_t i = 0; i < held; ++i) bytes.push_back(kv(layer, block, i));
    return bytes;
  }
  void write(std::uint32_t layer, BlockId block, const std::vector<std::uint64_t>& bytes) {
    for (std::uint32_t i = 0; i < bytes.size(); ++i) kv(layer, block, i) = bytes[i];
  }
  static std::uint64_t digest(const std::vector<std::uint64_t>& bytes, const Hash128& prefix, std::uint32_t layer) {
    return hash64(std::as_bytes(std::span{bytes}), digest_seed(kFakeModel, prefix, layer));
  }

  StepDone run(const StartStep& step) {
    for (const auto& [from, to] : step.copies) {
      for (std::uint32_t layer = 0; layer < layers_; ++layer) {
        for (std::uint32_t i = 0; i < block_tokens_; ++i) kv(layer, to, i) = kv(layer, from, i);
      }
    }
    StepDone done;
    done.step = step.step;
    for (const StepSequence& part : step.sequences) run_part(part, done);
    return done;
  }

 private:
  std::uint64_t& at(const StepSequence& part, std::uint32_t layer, std::uint32_t position) {
    return kv(layer, part.blocks.at(position / block_tokens_), position % block_tokens_);
  }

  void run_part(const StepSequence& part, StepDone& done) {
    StepPromptScores scores{part.key, {}};
    for (std::uint32_t i = 0; i < part.tokens.size(); ++i) {
      const std::uint32_t position = part.start + i;
      for (std::uint32_t layer = 0; layer < layers_; ++layer) {
        at(part, layer, position) = fake_kv(position == 0 ? 0 : at(part, layer, position - 1), part.tokens[i], position, layer);
      }
      const TokenId next = i + 1 < part.tokens.size() ? part.tokens[i + 1] : part.next_prompt_token;
      if (part.score_prompt && next >= 0) scores.scores.push_back(fake_score(at(part, 0, position), next));
    }
    if (part.score_prompt) done.prompt_scores.push_back(std::move(scores));
    const auto length = static_cast<std::uint32_t>(part.start + part.tokens.size());
    if (!part.sample_choices.empty()) {
      std::uint64_t all = 0;
      for (std::uint32_t layer = 0; layer < layers_; ++layer) {
        for (std::uint32_t position = 0; position < length; ++position) all += at(part, layer, position);
      }
      for (const std::uint32_t choice : part.sample_choices) {
        done.samples.push_back({part.key, choice, fake_sample(all, part.sampling.seed, choice, length)});
      }
    }
    if (!part.seal.empty()) {
      std::vector<std::uint64_t> digests;
      for (std::uint32_t layer = 0; layer < layers_; ++layer) {
        for (std::uint32_t ordinal = 0; ordinal < part.seal.size(); ++ordinal) {
          digests.push_back(digest(read(layer, part.blocks.at(ordinal), ordinal, length), part.seal[ordinal], layer));
        }
      }
      done.roots.push_back({part.key, root_digest(digests)});
    }
  }

  std::uint32_t layers_, block_tokens_;
  std::vector<std::uint64_t> kv_;
  std::uint32_t blocks_;
};

}  // namespace baton::testing
