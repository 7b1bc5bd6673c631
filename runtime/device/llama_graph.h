// The forward pass of the llama family: Llama 2 and 3, SmolLM2, Mistral, TinyLlama; Qwen2 (biases on q, k, v), Qwen3
// (norms on q, k).
//
//   x = embedding
//   for each layer:   x += o(attention(rope(norm(qkv(rms_norm(x))))))   K and V stored, rounded, before they are read
//                     x += down(silu(gate) * up), of rms_norm(x)
//   logits = head(rms_norm(x)), for the rows that want them
//
// Rows run through a layer in slices of kSliceRows, so that scratch is small and stays in cache; a slice needs only K
// and V of itself and of earlier slices. In the last layer only rows between those with logits go on after their K and
// V are stored. Every operator treats rows apart (its contract in kernels/ says so), so nothing here can change a row's
// bits.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/attention.h"
#include "kernels/memory.h"
#include "kernels/parallel.h"
#include "runtime/base/result.h"
#include "runtime/device/batch_rows.h"
#include "runtime/device/device_weights.h"
#include "runtime/device/kv_arena.h"
#include "runtime/device/rope_angles.h"

namespace baton {

class LlamaGraph {
 public:
  LlamaGraph(ModelSpec spec, DeviceWeights weights, const KvLayout& layout, kernels::Isa isa,
             kernels::Parallel& parallel);
  Status reserve(std::uint32_t batch_tokens);  // before run(); errors: out_of_memory

  const RopeAngles& angles() const { return angles_; }

  // [wanted rows][vocabulary], valid until the next run. Errors: out_of_memory (for logits). `observer` may be null.
  Result<std::span<const float>> run(BatchRows& rows, const KvArena& kv, LayerObserver* observer);

 private:
  static constexpr std::size_t kSliceRows = 128;

  struct Slice {
    std::size_t first, last;  // rows of the batch
    std::size_t size() const { return last - first; }
  };

  void embed(const BatchRows& rows);
  void project(const DeviceLayer& layer, const BatchRows& rows, Slice slice, std::byte* arena);
  void finish_row(const DeviceLayer& layer, const BatchRows& rows, std::size_t row, float* qkv, std::byte* arena) const;
  void attend(const DeviceLayer& layer, BatchRows& rows, Slice slice, Slice part, const std::byte* arena);
  void feed_forward(const DeviceLayer& layer, Slice slice);
  Result<std::span<const float>> logits(const BatchRows& rows);
  void normalise(const float* x, const std::vector<float>& weight, float* out) const;
  template <class Work>
  void each_row(std::size_t rows, const Work& work);  // work(row), in parallel

  float* x_row(std::size_t row) const { return x_ + row * spec_.embedding; }
  float* normed_row(std::size_t row) const { return normed_ + row * spec_.embedding; }
  std::size_t q_size() const { return std::size_t{spec_.heads} * spec_.head_dim; }
  std::size_t kv_size() const { return std::size_t{spec_.kv_heads} * spec_.head_dim; }
  std::size_t qkv_size() const { return q_size() + 2 * kv_size(); }

  ModelSpec spec_;
  DeviceWeights weights_;
  KvLayout layout_;
  RopeAngles angles_;
  Compute compute_;
  kernels::AttentionWorkspace workspace_;
  kernels::Arena scratch_, logits_;
  float *x_ = nullptr, *cos_ = nullptr, *sin_ = nullptr;  // [batch rows]
  float *normed_ = nullptr, *qkv_ = nullptr, *heads_ = nullptr, *gate_up_ = nullptr,
        *hidden_ = nullptr;  // [rows of a slice]
};

}  // namespace baton
