#include "runtime/device/linear.h"

#include <cstring>

#include "runtime/base/check.h"

namespace baton {
namespace {

// [begin, end) of the parts that are packed together with parts[begin].
std::size_t end_of_run(std::span<const LinearPart> parts, std::size_t begin) {
  std::size_t end = begin + 1;
  while (end < parts.size() && parts[end].tensor.type == parts[begin].tensor.type) ++end;
  return end;
}

std::size_t rows_of(std::span<const LinearPart> parts) {
  std::size_t rows = 0;
  for (const LinearPart& part : parts) rows += part.tensor.rows;
  return rows;
}

std::vector<std::byte> reordered(const LinearPart& part) {
  const std::size_t bytes = bytes_of_row(part.tensor.type, part.tensor.columns);
  CHECK(part.order.size() == part.tensor.rows, "an order names every row once");
  std::vector<std::byte> out(part.tensor.data.size());
  for (std::size_t row = 0; row < part.order.size(); ++row) {
    std::memcpy(out.data() + row * bytes, part.tensor.data.data() + part.order[row] * bytes, bytes);
  }
  return out;
}

}  // namespace

kernels::WeightType weight_type(TensorType type) {
  using kernels::WeightType;
  switch (type) {
    case TensorType::f32:
      return WeightType::f32;
    case TensorType::f16:
      return WeightType::f16;
    case TensorType::bf16:
      return WeightType::bf16;
    case TensorType::q8_0:
      return WeightType::q8_0;
    case TensorType::q4_0:
      return WeightType::q4_0;
    case TensorType::q4_1:
      return WeightType::q4_1;
    case TensorType::q4_k:
      return WeightType::q4_k;
    case TensorType::q5_k:
      return WeightType::q5_k;
    case TensorType::q6_k:
      return WeightType::q6_k;
  }
  CHECK(false, "tensor type {}", static_cast<int>(type));
  return WeightType::f32;
}

std::vector<float> dequantised(const TensorView& vector) {
  std::vector<float> out(vector.rows * vector.columns);
  const std::size_t bytes = bytes_of_row(vector.type, vector.columns);
  for (std::size_t row = 0; row < vector.rows; ++row) {
    kernels::dequantize_row(weight_type(vector.type), vector.data.data() + row * bytes, vector.columns,
                            out.data() + row * vector.columns);
  }
  return out;
}

std::vector<std::uint32_t> halves_order(std::uint32_t heads, std::uint32_t head_dim, std::uint32_t rope_dim) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t head = 0; head < heads; ++head) {
    const std::uint32_t first = head * head_dim;
    for (std::uint32_t i = 0; i < rope_dim; i += 2) order.push_back(first + i);
    for (std::uint32_t i = 1; i < rope_dim; i += 2) order.push_back(first + i);
    for (std::uint32_t i = rope_dim; i < head_dim; ++i) order.push_back(first + i);
  }
  return order;
}

std::size_t Linear::arena_bytes(std::span<const LinearPart> parts) {
  std::size_t bytes = 0;
  for (std::size_t begin = 0, end; begin < parts.size(); begin = end) {
    end = end_of_run(parts, begin);
    const std::size_t rows = rows_of(parts.subspan(begin, end - begin));
    bytes += (kernels::packed_bytes(weight_type(parts[begin].tensor.type), rows, parts[begin].tensor.columns) + 63) /
             64 * 64;
  }
  return bytes;
}

Linear::Linear(std::span<const LinearPart> parts, kernels::Arena& arena, kernels::Parallel& parallel)
    : outputs_(rows_of(parts)), inputs_(parts.front().tensor.columns), bytes_(arena_bytes(parts)) {
  std::size_t first_output = 0;
  for (std::size_t begin = 0, end; begin < parts.size(); begin = end) {
    end = end_of_run(parts, begin);
    std::vector<std::vector<std::byte>> copies;
    std::vector<kernels::WeightRows> rows;
    copies.reserve(end - begin);
    std::size_t count = 0;
    for (const LinearPart& part : parts.subspan(begin, end - begin)) {
      CHECK(part.tensor.columns == inputs_, "stacked matrices read the same input");
      if (!part.order.empty()) copies.push_back(reordered(part));
      rows.push_back({part.order.empty() ? part.tensor.data.data() : copies.back().data(), part.tensor.rows});
      count += part.tensor.rows;
    }
    const kernels::WeightType type = weight_type(parts[begin].tensor.type);
    std::byte* const to = arena.take(kernels::packed_bytes(type, count, inputs_));
    pieces_.push_back({kernels::pack(type, inputs_, rows, to, parallel), first_output});
    first_output += count;
  }
}

void Linear::run(Compute& compute, const float* x, std::size_t x_stride, std::size_t rows,
                 const kernels::MatmulOut& out) const {
  bool prepared[2] = {false, false};
  for (const Piece& piece : pieces_) {
    const kernels::ActivationKind kind = kernels::activation_kind(piece.weight.type);
    const bool quantised = kind == kernels::ActivationKind::int8;
    kernels::Activations& input = quantised ? compute.quantised : compute.floats;
    if (!prepared[quantised]) input.set(kind, x, x_stride, rows, inputs_, compute.isa, compute.parallel);
    prepared[quantised] = true;
    kernels::MatmulOut part = out;
    part.data += piece.first_output;
    kernels::matmul(piece.weight, input, part, compute.isa, compute.parallel);
  }
}

}  // namespace baton
