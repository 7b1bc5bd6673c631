// How the KV cache lies in memory: one arena per layer, [block][K|V][kv_head][token][head_dim], so that a layer's part of a
// block is contiguous (it can leave as soon as the layer is computed) and a head's tokens are adjacent (attention reads runs).
// This type owns all index arithmetic. K is stored after RoPE.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton {

enum class KvType : std::uint8_t { bf16, f32 };

constexpr std::size_t bytes_of(KvType type) { return type == KvType::bf16 ? 2 : 4; }

struct KvLayout {
  std::uint32_t layers = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t block_tokens = 16;   // 16, 32 or 64
  KvType type = KvType::bf16;

  // Elements of the arena of one layer are counted from its start.
  std::size_t head_elements() const { return std::size_t{block_tokens} * head_dim; }            // one K or V head of a block
  std::size_t half_elements() const { return kv_heads * head_elements(); }                      // K, or V, of a block
  std::size_t block_elements() const { return 2 * half_elements(); }
  std::size_t block_bytes() const { return block_elements() * bytes_of(type); }                 // of one layer
  std::size_t token_bytes() const { return std::size_t{2} * kv_heads * head_dim * bytes_of(type); }   // of one layer

  std::size_t k_element(std::uint32_t block, std::uint32_t kv_head, std::uint32_t token) const {
    return block * block_elements() + kv_head * head_elements() + std::size_t{token} * head_dim;
  }
  std::size_t v_element(std::uint32_t block, std::uint32_t kv_head, std::uint32_t token) const {
    return k_element(block, kv_head, token) + half_elements();
  }
  std::uint32_t blocks_for(std::uint32_t tokens) const { return (tokens + block_tokens - 1) / block_tokens; }

  bool operator==(const KvLayout&) const = default;
};

}  // namespace baton
