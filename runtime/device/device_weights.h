// A model's weights as the device runs them: matrices repacked into one arena, vectors as floats, rotated heads paired
// as halves.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/memory.h"
#include "runtime/base/result.h"
#include "runtime/device/linear.h"
#include "runtime/model/loaded_model.h"

namespace baton {

struct DeviceLayer {
  std::vector<float> attn_norm, ffn_norm;
  std::vector<float> qkv_bias;        // [q | k | v]; empty: none
  std::vector<float> q_norm, k_norm;  // [head_dim]; empty: none
  Linear qkv;                         // outputs [q heads | k heads | v heads]
  Linear o;
  Linear gate_up;  // outputs [gate | up]
  Linear down;
};

class DeviceWeights {
 public:
  // Errors: out_of_memory. The model may go afterwards.
  static Result<DeviceWeights> make(const LoadedModel& model, kernels::Parallel& parallel);

  std::span<const DeviceLayer> layers() const { return layers_; }
  const std::vector<float>& output_norm() const { return output_norm_; }
  const Linear& head() const { return head_; }
  void embed(TokenId token, float* to) const;  // one row of the embedding table, dequantised

 private:
  DeviceWeights() = default;

  kernels::Arena arena_;
  kernels::Arena table_;  // the embedding's rows as in the file: a row of the packed head is not contiguous
  TensorType table_type_ = TensorType::f32;
  std::size_t columns_ = 0;
  std::vector<DeviceLayer> layers_;
  std::vector<float> output_norm_;
  Linear head_;
};

}  // namespace baton
