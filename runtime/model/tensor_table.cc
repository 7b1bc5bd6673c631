#include "runtime/model/tensor_table.h"

#include <utility>

#include "runtime/model/printable.h"

namespace baton {

bool TensorTable::add(std::string name, const TensorView& view) { return tensors_.emplace(std::move(name), Entry{view}).second; }

std::optional<TensorView> TensorTable::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return std::nullopt;
  return found->second.view;
}

void TensorTable::fail(ErrorCode code, std::string message) {
  if (!error_) error_ = Error{code, Scope::instance, fmt::format("{}: {}", file_, message)};
}

TensorView TensorTable::take(std::string_view name, std::uint64_t rows, std::uint64_t columns, Need need) {
  if (error_) return {};
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    if (need == Need::required) {
      fail(ErrorCode::invalid_file, fmt::format("tensor {} is missing, expected {} x {}", name, rows, columns));
    }
    return {};
  }
  Entry& entry = found->second;
  if (entry.view.rows != rows || entry.view.columns != columns) {
    fail(ErrorCode::invalid_file, fmt::format("tensor {} is {} x {}, expected {} x {}", name, entry.view.rows, entry.view.columns,
                                              rows, columns));
    return {};
  }
  entry.used = true;
  return entry.view;
}

TensorView TensorTable::matrix(std::string_view name, std::uint64_t rows, std::uint64_t columns) {
  return take(name, rows, columns, Need::required);
}

TensorView TensorTable::vector(std::string_view name, std::uint64_t size, Need need) {
  const TensorView view = take(name, 1, size, need);
  if (view.present() && block_of(view.type) != 1) {
    fail(ErrorCode::unsupported, fmt::format("tensor {} is {}; supported for a norm or a bias: F32, F16, BF16", name,
                                             to_string(view.type)));
  }
  return view;
}

LayerTensors TensorTable::take_layer(const ModelSpec& spec, const TensorNames& names, std::uint32_t index) {
  const auto name = [&](std::string_view role) { return fmt::format("{}{}.{}", names.layer_prefix, index, role); };
  const std::uint64_t q_rows = std::uint64_t{spec.heads} * spec.head_dim;
  const std::uint64_t kv_rows = std::uint64_t{spec.kv_heads} * spec.head_dim;
  const bool biased = spec.architecture == "qwen2";
  const Need bias = biased ? Need::required : Need::optional;
  const Need head_norm = spec.architecture == "qwen3" ? Need::required : Need::optional;

  LayerTensors layer;
  layer.attn_norm = vector(name(names.attn_norm), spec.embedding, Need::required);
  layer.q = matrix(name(names.q), q_rows, spec.embedding);
  layer.k = matrix(name(names.k), kv_rows, spec.embedding);
  layer.v = matrix(name(names.v), kv_rows, spec.embedding);
  layer.o = matrix(name(names.o), spec.embedding, q_rows);
  layer.ffn_norm = vector(name(names.ffn_norm), spec.embedding, Need::required);
  layer.gate = matrix(name(names.gate), spec.feed_forward, spec.embedding);
  layer.up = matrix(name(names.up), spec.feed_forward, spec.embedding);
  layer.down = matrix(name(names.down), spec.embedding, spec.feed_forward);
  layer.q_bias = vector(name(names.q_bias), q_rows, bias);
  layer.k_bias = vector(name(names.k_bias), kv_rows, bias);
  layer.v_bias = vector(name(names.v_bias), kv_rows, bias);
  layer.q_norm = vector(name(names.q_norm), spec.head_dim, head_norm);
  layer.k_norm = vector(name(names.k_norm), spec.head_dim, head_norm);
  return layer;
}

void TensorTable::refuse_leftovers(const ModelSpec& spec, const TensorNames& names) {
  for (const auto& [name, entry] : tensors_) {
    if (entry.used) continue;
    bool ignored = spec.tied && name == names.output;
    for (const std::string_view suffix : names.ignored) ignored = ignored || name.ends_with(suffix);
    if (ignored) continue;
    fail(ErrorCode::unsupported, fmt::format("tensor {} has no place in a {} model of {} layers as Baton computes it", printable(name),
                                             spec.architecture, spec.layers));
    return;
  }
}

Result<ModelTensors> TensorTable::take_all(const ModelSpec& spec, const TensorNames& names) {
  constexpr std::size_t kLeastTensorsOfLayer = 9;
  if (spec.layers > tensors_.size() / kLeastTensorsOfLayer) {
    fail(ErrorCode::invalid_file, fmt::format("states {} layers, but has only {} tensors, expected at least {} a layer", spec.layers,
                                              tensors_.size(), kLeastTensorsOfLayer));
    return *error_;
  }
  ModelTensors all;
  all.embedding = matrix(names.embedding, spec.vocabulary, spec.embedding);
  all.output_norm = vector(names.output_norm, spec.embedding, Need::required);
  all.output = spec.tied ? all.embedding : matrix(names.output, spec.vocabulary, spec.embedding);
  for (std::uint32_t i = 0; i < spec.layers && !error_; ++i) all.layers.push_back(take_layer(spec, names, i));
  if (!error_) refuse_leftovers(spec, names);
  if (error_) return *error_;
  return all;
}

}  // namespace baton
