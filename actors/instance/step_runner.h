// One step of an instance on its device: block copies, the batch, prompt scores, samples, and the root digest of prompts that are
// complete. A function of the step and the device; who calls it on which thread is device_worker.h.
#pragma once

#include <variant>

#include "actors/instance/kv_slots.h"
#include "runtime/device/device.h"
#include "runtime/instance/instance_events.h"

namespace baton {

// Told as soon as a layer of the batch is stored, on the thread that runs the step.
class LayerPush {
 public:
  virtual ~LayerPush() = default;
  virtual void push(const PushPlan& plan, std::uint32_t layer, bool last_layer) = 0;
};

struct StepRunnerOptions {
  std::vector<TokenId> eos_tokens;       // masked by min_tokens
};

// `slots` and `push` may be null for an instance that hands nothing off.
std::variant<StepDone, StepFailed> run_step(Device& device, const StartStep& step, const KvSlots* slots, LayerPush* push,
                                            const StepRunnerOptions& options);

}  // namespace baton
