// The per-row operators of one instruction set (rms_norm.h, rope.h, swiglu.h, kv_store.h hold their contracts).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace baton::kernels {

struct RowKernels {
  void (*rms_norm)(const RmsNorm& job);
  void (*rope)(const Rope& job);
  void (*swiglu)(const Swiglu& job);
  void (*to_bf16)(const float* from, std::size_t count, std::uint16_t* to);
};

extern const RowKernels kRowKernelsScalar, kRowKernelsAvx2, kRowKernelsAvx512;

}  // namespace baton::kernels
