// The tensors of a file by name, taken one by one into their roles. Both containers are read through this, so the checks of
// shape and type are the same. The first error sticks, and later calls do nothing: callers ask for all they need, then look once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/model/loaded_model.h"

namespace baton {

// What a container calls the tensors. Layer names are layer_prefix + index + "." + name; an empty name: the container has none.
struct TensorNames {
  std::string_view embedding, output_norm, output, layer_prefix;
  std::string_view attn_norm, q, k, v, o, ffn_norm, gate, up, down;
  std::string_view q_bias, k_bias, v_bias, q_norm, k_norm;
  std::vector<std::string_view> ignored;   // suffixes of tensors that a model may have and nobody needs
};

struct ModelTensors {
  TensorView embedding, output_norm, output;   // output: the embedding when the model is tied
  std::vector<LayerTensors> layers;
};

class TensorTable {
 public:
  explicit TensorTable(std::string file) : file_(std::move(file)) {}

  bool add(std::string name, const TensorView& view);       // false: there is one of this name
  bool has(std::string_view name) const { return tensors_.contains(name); }
  std::size_t size() const { return tensors_.size(); }
  std::optional<TensorView> find(std::string_view name) const;

  // All roles of `spec`, shapes checked. A tensor that has no role is an error: leaving out a bias gives fluent nonsense.
  Result<ModelTensors> take_all(const ModelSpec& spec, const TensorNames& names);

 private:
  struct Entry {
    TensorView view;
    bool used = false;
  };
  enum class Need : std::uint8_t { required, optional };

  TensorView matrix(std::string_view name, std::uint64_t rows, std::uint64_t columns);
  TensorView vector(std::string_view name, std::uint64_t size, Need need);
  TensorView take(std::string_view name, std::uint64_t rows, std::uint64_t columns, Need need);
  LayerTensors take_layer(const ModelSpec& spec, const TensorNames& names, std::uint32_t index);
  void fail(ErrorCode code, std::string message);
  void refuse_leftovers(const ModelSpec& spec, const TensorNames& names);

  std::string file_;
  std::map<std::string, Entry, std::less<>> tensors_;
  std::optional<Error> error_;
};

}  // namespace baton
