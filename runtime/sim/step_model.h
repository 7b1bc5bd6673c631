// How long one step of an instance takes, from its shape: for every sequence the tokens that are computed and the context that they
// are added to. A sequence with one new token after a context is a decode; any other is a prefill, or a chunk of one.
//
// Thread: none; a model is read-only and may be shared by instances. Times are at least one nanosecond.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "runtime/base/time.h"
#include "runtime/sim/distserve_profile.h"
#include "runtime/sim/splitwise_profile.h"

namespace baton::sim {

struct StepSpan {
  std::uint32_t new_tokens = 0;            // at least 1
  std::uint32_t context_tokens = 0;        // whose KV is there already
  bool decodes() const { return new_tokens == 1 && context_tokens > 0; }
};

class StepModel {
 public:
  virtual ~StepModel() = default;
  virtual Duration step_time(std::span<const StepSpan> sequences) const = 0;     // not empty
};

// DistServe's coefficients, as its simulator computes a batch (DistServe section 3 and appendix A), with the engine's control time.
//   prefills   fixed + per_token * new tokens + last * sum of ((context + new)^2 - context^2), so that a prompt's chunks add up to its
//              square; and pp ms at each of the pp stages
//   decodes    fixed + per_token * (context + new token of all) + last * decodes
//   a mixture  both without the smaller fixed part: the weights are read once
// A production instance has one step outstanding, so that a pipeline of pp stages is passed from end to end by one step at a time: pp
// makes room for the weights and does not overlap batches.
std::unique_ptr<StepModel> make_step_model(const distserve::Deployment& deployment);

// Splitwise's table: prefills by their tokens, decodes by their number, a mixture by both and a tenth more, as its simulator does.
// Context adds nothing to either.
std::unique_ptr<StepModel> make_step_model(const splitwise::StepTimes& times);

}  // namespace baton::sim
