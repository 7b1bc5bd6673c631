// Tiny models of the llama family with seeded random weights, in memory, and their forward pass in double, written
// without regard to speed, blocks or rounding: what a device is held against.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/model/loaded_model.h"

namespace baton {

struct TinyOptions {
  std::string name;                    // of the case
  std::string architecture = "llama";  // qwen2: biases; qwen3: norms per head
  TensorType linear = TensorType::f32;
  TensorType value = linear;           // of V, whose type often differs from Q's and K's in a file
  TensorType table = TensorType::f32;  // of the embedding and the head
  std::uint32_t layers = 2;
  std::uint32_t embedding = 64;
  std::uint32_t feed_forward = 96;
  std::uint32_t heads = 4;
  std::uint32_t kv_heads = 2;
  std::uint32_t head_dim = 16;
  std::uint32_t rope_dim = head_dim;
  std::uint32_t vocabulary = 101;
  std::uint32_t context = 512;
  RopePairing pairing = RopePairing::interleaved;
  RopeScaling scaling = {};
  double rope_base = 10000.0;
  bool tied = true;
  std::uint64_t seed = 1;
};

std::unique_ptr<LoadedModel> make_tiny_model(const TinyOptions& options);

// One of each: families, pairings, scalings, weight types, shapes whose sizes are no multiple of a vector.
const std::vector<TinyOptions>& tiny_models();

std::vector<TokenId> random_tokens(std::size_t count, std::uint32_t vocabulary, std::uint64_t seed);

// [tokens][vocabulary] logits in double of the dequantised weights.
std::vector<double> reference_logits(const LoadedModel& model, const std::vector<TokenId>& tokens);

}  // namespace baton
