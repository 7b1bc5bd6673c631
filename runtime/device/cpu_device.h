// The CPU as a device: the llama-family graph over kernels/, weights repacked at load, KV in host memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/device/device.h"

namespace baton {

class LoadedModel;

struct CpuDeviceOptions {
  std::uint32_t threads = 1;             // that run a batch, this device's worker included; results do not depend on it
  std::uint32_t block_tokens = 16;
  KvType kv_type = KvType::bf16;
  std::uint32_t max_batch_tokens = 2048;
  std::uint32_t max_model_len = 0;       // 0: the model's own
  std::string isa;                       // "", "scalar", "avx2", "avx512": BATON_ISA; empty: the best this CPU has
};

// Repacks the weights; `model`'s file may be unmapped afterwards. Errors: out_of_memory, unsupported (a tensor type, an ISA).
Result<std::unique_ptr<Device>> make_cpu_device(const LoadedModel& model, const CpuDeviceOptions& options);

}  // namespace baton
