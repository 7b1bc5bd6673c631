// A device whose KV is a hash of (token, position, layer) and whose logits are a hash of the whole KV of the sequence: what it
// generates is right only if every byte of KV is, whoever computed it and however it came here.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/device/device.h"
#include "runtime/text/tokenizer.h"

namespace baton {

class FakeDevice : public Device {
 public:
  static constexpr std::uint32_t kVocabulary = 64;

  const KvLayout& layout() const override { return layout_; }
  std::uint32_t vocabulary() const override { return kVocabulary; }
  std::uint32_t max_model_len() const override { return 2048; }
  std::uint64_t model_fingerprint() const override { return 7; }
  std::uint64_t kernel_identity() const override { return 1; }
  Status allocate_kv(std::uint32_t blocks) override {
    arena_.assign(layout_.layers, std::vector<std::byte>(layout_.block_bytes() * blocks));
    return ok();
  }
  std::uint32_t max_batch_tokens() const override { return 2048; }

  Result<BatchLogits> run(std::span<const SequenceChunk> batch, LayerObserver* observer) override {
    logits_.clear();
    for (std::uint32_t layer = 0; layer < layout_.layers; ++layer) {
      for (const SequenceChunk& chunk : batch) {
        for (std::uint32_t i = 0; i < chunk.tokens.size(); ++i) store(layer, chunk, chunk.start + i, chunk.tokens[i]);
      }
      if (observer != nullptr) observer->on_layer_done(layer);
    }
    for (const SequenceChunk& chunk : batch) {
      for (std::uint32_t i = chunk.logits_from; i < chunk.tokens.size(); ++i) add_logits(chunk, chunk.start + i + 1);
    }
    return BatchLogits{logits_, kVocabulary};
  }

  void copy_out(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<std::byte> to) override {
    const HostRuns runs = *host_view(layer, block, tokens);
    for (std::uint32_t r = 0; r < runs.runs; ++r) {
      std::memcpy(to.data() + r * runs.run_bytes, runs.base + r * runs.stride_bytes, runs.run_bytes);
    }
  }
  void copy_in(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<const std::byte> from) override {
    const HostRuns runs = *host_view(layer, block, tokens);
    for (std::uint32_t r = 0; r < runs.runs; ++r) {
      std::memcpy(runs.base + r * runs.stride_bytes, from.data() + r * runs.run_bytes, runs.run_bytes);
    }
  }
  void copy_block(BlockId from, BlockId to) override {
    const std::size_t bytes = layout_.block_bytes();
    for (auto& layer : arena_) {
      std::memcpy(layer.data() + to.value * bytes, layer.data() + from.value * bytes, bytes);
    }
  }
  std::optional<HostRuns> host_view(std::uint32_t layer, BlockId block, std::uint32_t tokens) override {
    std::byte* base = arena_[layer].data() + block.value * layout_.block_bytes();
    const auto head = static_cast<std::uint32_t>(layout_.head_dim * bytes_of(layout_.type));
    if (tokens == layout_.block_tokens) return HostRuns{base, static_cast<std::uint32_t>(layout_.block_bytes()), 0, 1};
    return HostRuns{base, head * tokens, head * layout_.block_tokens, 2 * layout_.kv_heads};
  }

 private:
  std::byte* place(std::uint32_t layer, std::span<const BlockId> blocks, std::uint32_t position, std::uint32_t half) {
    const BlockId block = blocks[position / layout_.block_tokens];
    const std::uint32_t token = position % layout_.block_tokens;
    const std::size_t element = half == 0 ? layout_.k_element(block.value, 0, token) : layout_.v_element(block.value, 0, token);
    return arena_[layer].data() + element * bytes_of(layout_.type);
  }
  void store(std::uint32_t layer, const SequenceChunk& chunk, std::uint32_t position, TokenId token) {
    for (std::uint32_t half = 0; half < 2; ++half) {
      const std::uint64_t value = draw64(static_cast<std::uint64_t>(token), position, layer * 2 + half);
      std::memcpy(place(layer, chunk.blocks, position, half), &value, sizeof value);
    }
  }
  void add_logits(const SequenceChunk& chunk, std::uint32_t length) {
    std::uint64_t seen = 0;
    for (std::uint32_t layer = 0; layer < layout_.layers; ++layer) {
      for (std::uint32_t position = 0; position < length; ++position) {
        for (std::uint32_t half = 0; half < 2; ++half) {
          std::uint64_t value = 0;
          std::memcpy(&value, place(layer, chunk.blocks, position, half), sizeof value);
          seen = mix64(seen ^ value);
        }
      }
    }
    for (std::uint32_t token = 0; token < kVocabulary; ++token) logits_.push_back(static_cast<float>(draw_unit(seen, token)) * 8.0f);
  }

  KvLayout layout_{.layers = 3, .kv_heads = 1, .head_dim = 4, .block_tokens = 16, .type = KvType::bf16};   // 8 bytes a token and half
  std::vector<std::vector<std::byte>> arena_;
  std::vector<float> logits_;
};

// Token t is the character 'A' + t.
class FakeTokenizer : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view text, EncodeOptions) const override {
    std::vector<TokenId> tokens;
    for (const char c : text) tokens.push_back(c - 'A');
    return tokens;
  }
  std::optional<std::string> bytes_of(TokenId token, bool) const override { return std::string(1, static_cast<char>('A' + token % 50)); }
  std::uint32_t vocabulary() const override { return FakeDevice::kVocabulary; }
  bool is_special(TokenId) const override { return false; }
  std::optional<TokenId> special(std::string_view) const override { return std::nullopt; }
  const std::vector<TokenId>& eos_tokens() const override { return none_; }
  std::optional<TokenId> bos() const override { return std::nullopt; }

 private:
  std::vector<TokenId> none_;
};

}  // namespace baton
