#include "runtime/device/llama_graph.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/kv_store.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"
#include "runtime/device/host_memory.h"

namespace baton {
namespace {

constexpr std::size_t kRowsOfTask = 8;
// Room for more logits than this (a prompt's, for echo) goes back to the system at the next smaller batch.
constexpr std::size_t kKeptLogits = std::size_t{64} << 20;  // bytes

Error no_memory(const char* what, std::size_t bytes) {
  return {ErrorCode::out_of_memory, Scope::instance,
          fmt::format("no memory for {} ({} MiB): ask for fewer tokens in a batch", what, bytes >> 20)};
}

void add(float* x, const std::vector<float>& y) {
  for (std::size_t i = 0; i < y.size(); ++i) x[i] = x[i] + y[i];
}

}  // namespace

LlamaGraph::LlamaGraph(ModelSpec spec, DeviceWeights weights, const KvLayout& layout, kernels::Isa isa,
                       kernels::Parallel& parallel)
    : spec_(std::move(spec)),
      weights_(std::move(weights)),
      layout_(layout),
      angles_(spec_),
      compute_{.isa = isa, .parallel = parallel} {}

Status LlamaGraph::reserve(std::uint32_t batch_tokens) {
  const std::size_t slice = std::min<std::size_t>(kSliceRows, batch_tokens), batch = batch_tokens;
  struct Part {
    float*& at;
    std::size_t floats;
  };
  const Part parts[] = {{x_, batch * spec_.embedding},
                        {cos_, batch * angles_.pairs()},
                        {sin_, batch * angles_.pairs()},
                        {normed_, slice * spec_.embedding},
                        {qkv_, slice * qkv_size()},
                        {heads_, slice * q_size()},
                        {gate_up_, slice * 2 * spec_.feed_forward},
                        {hidden_, slice * spec_.feed_forward}};
  std::size_t bytes = 0;
  for (const Part& part : parts) bytes += (part.floats * sizeof(float) + 63) / 64 * 64;
  if (exceeds_memory(bytes)) return no_memory("the values between layers", bytes);
  auto arena = kernels::Arena::allocate(bytes);
  const std::size_t widest =
      slice * std::max({std::size_t{spec_.embedding}, q_size(), std::size_t{spec_.feed_forward}});
  if (!arena || !workspace_.reserve(layout_, spec_.heads, compute_.parallel.threads()) ||
      !compute_.quantised.reserve(widest) || !compute_.floats.reserve(widest)) {
    return no_memory("the values between layers", bytes);
  }
  scratch_ = std::move(*arena);
  std::memset(scratch_.data(), 0, scratch_.size());
  for (const Part& part : parts) part.at = reinterpret_cast<float*>(scratch_.take(part.floats * sizeof(float)));
  return ok();
}

template <class Work>
void LlamaGraph::each_row(std::size_t rows, const Work& work) {
  compute_.parallel.run((rows + kRowsOfTask - 1) / kRowsOfTask, [&](std::size_t task, unsigned) {
    const std::size_t last = std::min(rows, (task + 1) * kRowsOfTask);
    for (std::size_t row = task * kRowsOfTask; row < last; ++row) work(row);
  });
}

void LlamaGraph::normalise(const float* x, const std::vector<float>& weight, float* out) const {
  kernels::rms_norm({.x = x,
                     .x_stride = 0,
                     .rows = 1,
                     .columns = spec_.embedding,
                     .weight = weight.data(),
                     .epsilon = spec_.norm_epsilon,
                     .out = out,
                     .out_stride = 0},
                    compute_.isa);
}

void LlamaGraph::embed(const BatchRows& rows) {
  each_row(rows.size(), [&](std::size_t row) {
    weights_.embed(rows.token(row), x_row(row));
    angles_.row(rows.position(row), cos_ + row * angles_.pairs(), sin_ + row * angles_.pairs());
  });
}

void LlamaGraph::finish_row(const DeviceLayer& layer, const BatchRows& rows, std::size_t row, float* qkv,
                            std::byte* arena) const {
  float* const k = qkv + q_size();
  add(qkv, layer.qkv_bias);
  const std::size_t dim = spec_.head_dim;
  const auto norm = [&](float* heads, std::size_t count, const std::vector<float>& weight) {
    if (weight.empty()) return;
    kernels::rms_norm({.x = heads,
                       .x_stride = dim,
                       .rows = count,
                       .columns = dim,
                       .weight = weight.data(),
                       .epsilon = spec_.norm_epsilon,
                       .out = heads,
                       .out_stride = dim},
                      compute_.isa);
  };
  norm(qkv, spec_.heads, layer.q_norm);
  norm(k, spec_.kv_heads, layer.k_norm);
  kernels::rope({.x = qkv,  // q and k heads are adjacent
                 .heads = std::size_t{spec_.heads} + spec_.kv_heads,
                 .head_dim = dim,
                 .pairs = angles_.pairs(),
                 .cos = cos_ + row * angles_.pairs(),
                 .sin = sin_ + row * angles_.pairs()},
                compute_.isa);
  kernels::store_kv(layout_, arena, rows.block_of(row), rows.position(row) % layout_.block_tokens, k, k + kv_size(),
                    compute_.isa);
}

void LlamaGraph::project(const DeviceLayer& layer, const BatchRows& rows, Slice slice, std::byte* arena) {
  each_row(slice.size(),
           [&](std::size_t row) { normalise(x_row(slice.first + row), layer.attn_norm, normed_row(row)); });
  layer.qkv.run(compute_, normed_, spec_.embedding, slice.size(), {.data = qkv_, .stride = qkv_size()});
  each_row(slice.size(),
           [&](std::size_t row) { finish_row(layer, rows, slice.first + row, qkv_ + row * qkv_size(), arena); });
}

// `part` of the slice that project() has just done.
void LlamaGraph::attend(const DeviceLayer& layer, BatchRows& rows, Slice slice, Slice part, const std::byte* arena) {
  kernels::attention({.layout = layout_,
                      .arena = arena,
                      .heads = spec_.heads,
                      .q = qkv_ + (part.first - slice.first) * qkv_size(),
                      .q_stride = qkv_size(),
                      .out = heads_,
                      .out_stride = q_size(),
                      .sequences = rows.slice(part.first, part.last)},
                     workspace_, compute_.isa, compute_.parallel);
  layer.o.run(compute_, heads_, q_size(), part.size(),
              {.data = x_row(part.first), .stride = spec_.embedding, .accumulate = true});
}

void LlamaGraph::feed_forward(const DeviceLayer& layer, Slice slice) {
  const std::size_t width = spec_.feed_forward;
  each_row(slice.size(),
           [&](std::size_t row) { normalise(x_row(slice.first + row), layer.ffn_norm, normed_row(row)); });
  layer.gate_up.run(compute_, normed_, spec_.embedding, slice.size(), {.data = gate_up_, .stride = 2 * width});
  each_row(slice.size(), [&](std::size_t row) {
    const float* const gate = gate_up_ + row * 2 * width;
    kernels::swiglu({.gate = gate,
                     .up = gate + width,
                     .in_stride = 2 * width,
                     .rows = 1,
                     .columns = width,
                     .out = hidden_ + row * width,
                     .out_stride = width},
                    compute_.isa);
  });
  layer.down.run(compute_, hidden_, width, slice.size(),
                 {.data = x_row(slice.first), .stride = spec_.embedding, .accumulate = true});
}

Result<std::span<const float>> LlamaGraph::run(BatchRows& rows, const KvArena& kv, LayerObserver* observer) {
  embed(rows);
  const auto layers = weights_.layers();
  for (std::uint32_t index = 0; index < layers.size(); ++index) {
    const DeviceLayer& layer = layers[index];
    for (std::size_t first = 0; first < rows.size(); first += kSliceRows) {
      const Slice slice{first, std::min(rows.size(), first + kSliceRows)};
      project(layer, rows, slice, kv.layer(index));
      if (observer != nullptr && slice.last == rows.size()) observer->on_layer_done(index);
      Slice part = slice;
      if (index + 1 == layers.size()) {
        const auto wanted = rows.wanted();
        const auto begin = std::lower_bound(wanted.begin(), wanted.end(), slice.first);
        const auto end = std::lower_bound(begin, wanted.end(), slice.last);
        if (begin == end) continue;
        part = {*begin, std::size_t{*(end - 1)} + 1};
      }
      attend(layer, rows, slice, part, kv.layer(index));
      feed_forward(layer, part);
    }
  }
  return logits(rows);
}

Result<std::span<const float>> LlamaGraph::logits(const BatchRows& rows) {
  const auto wanted = rows.wanted();
  const std::size_t count = wanted.size() * spec_.vocabulary, bytes = count * sizeof(float);
  if (bytes > logits_.size() || (logits_.size() > kKeptLogits && bytes <= kKeptLogits)) {
    logits_ = {};
    if (exceeds_memory(bytes)) return no_memory("a batch's logits", bytes);
    auto arena = kernels::Arena::allocate(bytes);
    if (!arena) return no_memory("a batch's logits", bytes);
    logits_ = std::move(*arena);
  }
  auto* const out = reinterpret_cast<float*>(logits_.data());
  for (std::size_t first = 0; first < wanted.size(); first += kSliceRows) {
    const std::size_t size = std::min(kSliceRows, wanted.size() - first);
    each_row(size, [&](std::size_t i) { normalise(x_row(wanted[first + i]), weights_.output_norm(), normed_row(i)); });
    weights_.head().run(compute_, normed_, spec_.embedding, size,
                        {.data = out + first * spec_.vocabulary, .stride = spec_.vocabulary});
  }
  return std::span<const float>{out, count};
}

}  // namespace baton
