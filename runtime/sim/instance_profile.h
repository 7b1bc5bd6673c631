// What a simulated instance is: how fast its steps are, what its KV takes and how much of it there is room for. By name:
//
//   distserve/opt-13b, distserve/opt-66b           on A100-80GB, tp and pp as DistServe's authors measured
//   splitwise/bloom-176b@h100-80gb, ...            a machine of eight GPUs, always tp=8,pp=1
//
// Sources: runtime/sim/distserve_profile.h and splitwise_profile.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/sim/step_model.h"

namespace baton::sim {

struct InstanceProfile {
  std::shared_ptr<const StepModel> steps;
  distserve::Parallelism parallelism;
  std::uint32_t layers = 0;                // of the model
  std::uint64_t kv_bytes_per_token = 0;    // of all layers, K and V
  std::uint64_t kv_tokens = 0;             // that fit beside the weights
};

// Nothing for the parallelism: the profile's own, or 1 and 1. Errors: invalid_argument, naming the nearest profile or what is known.
Result<InstanceProfile> load_instance_profile(const std::string& name, std::optional<distserve::Parallelism> parallelism);
Result<std::vector<std::string>> instance_profile_names();       // sorted

}  // namespace baton::sim
