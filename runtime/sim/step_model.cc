#include "runtime/sim/step_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/base/check.h"

namespace baton::sim {
namespace {

Duration to_duration(double nanoseconds) { return Duration{std::max<std::int64_t>(std::llround(nanoseconds), 1)}; }

class DistServeSteps final : public StepModel {
 public:
  explicit DistServeSteps(const distserve::Deployment& deployment) : deployment_(deployment) {}

  Duration step_time(std::span<const StepSpan> sequences) const override {
    CHECK(!sequences.empty(), "a step of nothing");
    std::uint64_t prefill_tokens = 0, decode_context = 0, decodes = 0;
    double squares = 0;
    for (const StepSpan& s : sequences) {
      if (s.decodes()) {
        ++decodes;
        decode_context += s.context_tokens;
      } else {
        prefill_tokens += s.new_tokens;
        squares += static_cast<double>(s.new_tokens) * (2.0 * s.context_tokens + s.new_tokens);
      }
    }
    double ms = distserve::control_ms(prefill_tokens + decode_context);
    const distserve::Cost& prefill = deployment_.prefill_cost;
    const distserve::Cost& decode = decodes < deployment_.small_batch ? deployment_.decode_small : deployment_.decode_large;
    if (prefill_tokens > 0) {
      const double pp = deployment_.prefill.pp;
      ms += iteration_ms(prefill, static_cast<double>(prefill_tokens), squares) + pp * pp;
    }
    if (decodes > 0) ms += iteration_ms(decode, static_cast<double>(decode_context + decodes), static_cast<double>(decodes));
    if (prefill_tokens > 0 && decodes > 0) ms -= std::min(prefill.fixed, decode.fixed);
    return to_duration(ms * 1e6);
  }

 private:
  distserve::Deployment deployment_;
};

class SplitwiseSteps final : public StepModel {
 public:
  explicit SplitwiseSteps(splitwise::StepTimes times) : times_(std::move(times)) {}

  Duration step_time(std::span<const StepSpan> sequences) const override {
    CHECK(!sequences.empty(), "a step of nothing");
    std::int64_t prompt_tokens = 0, decodes = 0;
    for (const StepSpan& s : sequences) {
      (s.decodes() ? decodes : prompt_tokens) += s.new_tokens;
    }
    return to_duration(times_.iteration_seconds(prompt_tokens, decodes) * 1e9);
  }

 private:
  splitwise::StepTimes times_;
};

}  // namespace

std::unique_ptr<StepModel> make_step_model(const distserve::Deployment& deployment) { return std::make_unique<DistServeSteps>(deployment); }

std::unique_ptr<StepModel> make_step_model(const splitwise::StepTimes& times) { return std::make_unique<SplitwiseSteps>(times); }

}  // namespace baton::sim
