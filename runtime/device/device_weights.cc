#include "runtime/device/device_weights.h"

#include <spdlog/fmt/fmt.h>

#include <cstring>
#include <optional>
#include <utility>

#include "runtime/device/host_memory.h"

namespace baton {
namespace {

struct LayerParts {
  std::vector<LinearPart> qkv, o, gate_up, down;
};

LayerParts parts_of(const LayerTensors& tensors, const ModelSpec& spec) {
  std::vector<std::uint32_t> q_order, k_order;
  if (spec.rope_pairing == RopePairing::interleaved) {
    q_order = halves_order(spec.heads, spec.head_dim, spec.rope_dim);
    k_order = halves_order(spec.kv_heads, spec.head_dim, spec.rope_dim);
  }
  return {.qkv = {{tensors.q, std::move(q_order)}, {tensors.k, std::move(k_order)}, {tensors.v}},
          .o = {{tensors.o}},
          .gate_up = {{tensors.gate}, {tensors.up}},
          .down = {{tensors.down}}};
}

// A vector over heads, reordered as the rows of its matrix are.
std::vector<float> in_order(const TensorView& vector, std::uint32_t heads, const ModelSpec& spec, bool rotated) {
  std::vector<float> values =
      vector.present() ? dequantised(vector) : std::vector<float>(std::size_t{heads} * spec.head_dim, 0.0f);
  if (!rotated || spec.rope_pairing == RopePairing::half) return values;
  std::vector<float> out;
  for (const std::uint32_t from : halves_order(heads, spec.head_dim, spec.rope_dim)) out.push_back(values[from]);
  return out;
}

std::vector<float> stacked_bias(const LayerTensors& tensors, const ModelSpec& spec) {
  if (!tensors.q_bias.present() && !tensors.k_bias.present() && !tensors.v_bias.present()) return {};
  std::vector<float> out = in_order(tensors.q_bias, spec.heads, spec, true);
  for (const float value : in_order(tensors.k_bias, spec.kv_heads, spec, true)) out.push_back(value);
  for (const float value : in_order(tensors.v_bias, spec.kv_heads, spec, false)) out.push_back(value);
  return out;
}

Error no_memory(std::size_t bytes) {
  return {ErrorCode::out_of_memory, Scope::instance,
          fmt::format("no memory for the model's weights ({} MiB): use a smaller model or a machine with more memory",
                      bytes >> 20)};
}

}  // namespace

Result<DeviceWeights> DeviceWeights::make(const LoadedModel& model, kernels::Parallel& parallel) {
  const ModelSpec& spec = model.spec();
  const std::vector<LinearPart> head{{model.output()}};
  std::size_t bytes = Linear::arena_bytes(head);
  for (std::uint32_t i = 0; i < spec.layers; ++i) {
    const LayerParts parts = parts_of(model.layer(i), spec);
    for (const auto* linear : {&parts.qkv, &parts.o, &parts.gate_up, &parts.down})
      bytes += Linear::arena_bytes(*linear);
  }
  const TensorView& table = model.embedding();
  if (exceeds_memory(bytes + table.data.size())) return no_memory(bytes + table.data.size());
  auto arena = kernels::Arena::allocate(bytes);
  auto rows = kernels::Arena::allocate(table.data.size());
  if (!arena || !rows) return no_memory(bytes + table.data.size());

  DeviceWeights weights;
  weights.arena_ = std::move(*arena);
  weights.table_ = std::move(*rows);
  std::memcpy(weights.table_.data(), table.data.data(), table.data.size());
  weights.table_type_ = table.type;
  weights.columns_ = table.columns;
  weights.output_norm_ = dequantised(model.output_norm());
  for (std::uint32_t i = 0; i < spec.layers; ++i) {
    const LayerTensors& tensors = model.layer(i);
    const LayerParts parts = parts_of(tensors, spec);
    DeviceLayer layer;
    layer.attn_norm = dequantised(tensors.attn_norm);
    layer.ffn_norm = dequantised(tensors.ffn_norm);
    layer.qkv_bias = stacked_bias(tensors, spec);
    if (tensors.q_norm.present()) layer.q_norm = in_order(tensors.q_norm, 1, spec, true);
    if (tensors.k_norm.present()) layer.k_norm = in_order(tensors.k_norm, 1, spec, true);
    layer.qkv = Linear{parts.qkv, weights.arena_, parallel};
    layer.o = Linear{parts.o, weights.arena_, parallel};
    layer.gate_up = Linear{parts.gate_up, weights.arena_, parallel};
    layer.down = Linear{parts.down, weights.arena_, parallel};
    weights.layers_.push_back(std::move(layer));
  }
  weights.head_ = Linear{head, weights.arena_, parallel};
  return weights;
}

void DeviceWeights::embed(TokenId token, float* to) const {
  const std::size_t bytes = bytes_of_row(table_type_, columns_);
  kernels::dequantize_row(weight_type(table_type_), table_.data() + static_cast<std::size_t>(token) * bytes, columns_,
                          to);
}

}  // namespace baton
