#include "runtime/cluster/conductor.h"

#include <cmath>
#include <limits>

#include "runtime/base/check.h"

namespace baton {
namespace {

struct Plan {
  double ttft_s = 0;
  std::uint64_t reused_tokens = 0;
  bool fetches = false;
};

class Planner {
 public:
  Planner(const ConductorOptions& options, const ConductorQuestion& question, const ConductorEstimates& estimates)
      : options_(options), question_(question), estimates_(estimates) {
    for (std::uint32_t i = 1; i < question.prefill.size(); ++i) {
      if (question.prefill[i].matched_tokens > best_match()) holder_ = i;
    }
  }

  std::uint32_t holder() const { return holder_; }
  std::uint64_t best_match() const { return question_.prefill[holder_].matched_tokens; }

  Plan plan_for(std::uint32_t i) const {
    const ConductorPrefill& instance = question_.prefill[i];
    const Plan local = {instance.queue_s + prefill_s(instance.matched_tokens), instance.matched_tokens, false};
    if (!(ratio_to(instance.matched_tokens) > options_.balancing_threshold)) return local;
    const double transfer_s = estimates_.transfer_s(holder_, i, best_match() - instance.matched_tokens);
    const Plan fetching = {transfer_s + instance.queue_s + prefill_s(best_match()), best_match(), true};
    return options_.fetch_only_if_sooner && local.ttft_s <= fetching.ttft_s ? local : fetching;
  }

 private:
  double prefill_s(std::uint64_t reused_tokens) const { return estimates_.prefill_s(question_.prompt_tokens, reused_tokens); }
  double ratio_to(std::uint64_t matched) const {
    if (matched == best_match()) return 1;
    return matched == 0 ? std::numeric_limits<double>::infinity() : static_cast<double>(best_match()) / static_cast<double>(matched);
  }

  const ConductorOptions& options_;
  const ConductorQuestion& question_;
  const ConductorEstimates& estimates_;
  std::uint32_t holder_ = 0;               // the first with the longest match
};

Status must(bool holds, const char* name, const char* what, double value) {
  if (holds) return ok();
  return Error{ErrorCode::invalid_config, Scope::cluster, fmt::format("{} must be {}, not {}", name, what, value), name};
}

std::optional<std::uint32_t> least_tbt(std::span<const ConductorDecode> decode) {
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < decode.size(); ++i) {
    if (decode[i].has_room && (!best || decode[i].tbt_s < decode[*best].tbt_s)) best = i;
  }
  return best;
}

}  // namespace

Status check(const ConductorOptions& options) {
  const double threshold = options.balancing_threshold;
  const Status at_least_1 = must(threshold >= 1 && std::isfinite(threshold), "balancing_threshold", "a number from 1 up", threshold);
  if (!at_least_1) return at_least_1;
  const Status ttft = must(options.ttft_slo_s > 0, "ttft_slo_s", "above 0", options.ttft_slo_s);
  return ttft ? must(options.tbt_slo_s > 0, "tbt_slo_s", "above 0", options.tbt_slo_s) : ttft;
}

ConductorDecision conduct(const ConductorOptions& options, const ConductorQuestion& question, const ConductorEstimates& estimates) {
  const auto decode = least_tbt(question.decode);
  if (question.prefill.empty() || !decode) return {};
  const Planner planner(options, question, estimates);
  std::uint32_t chosen = 0;
  Plan best{.ttft_s = std::numeric_limits<double>::infinity()};
  for (std::uint32_t i = 0; i < question.prefill.size(); ++i) {
    const Plan plan = planner.plan_for(i);
    if (plan.ttft_s < best.ttft_s) {
      best = plan;
      chosen = i;
    }
  }
  const double tbt_s = question.decode[*decode].tbt_s;
  const bool late = best.ttft_s > options.ttft_slo_s, slow = tbt_s > options.tbt_slo_s;
  ConductorDecision decision{.outcome = late && slow ? ConductorOutcome::both_slos
                                        : late       ? ConductorOutcome::ttft_slo
                                        : slow       ? ConductorOutcome::tbt_slo
                                                     : ConductorOutcome::accepted,
                             .prefill = chosen,
                             .decode = *decode,
                             .ttft_s = best.ttft_s,
                             .tbt_s = tbt_s,
                             .reused_tokens = best.reused_tokens};
  if (best.fetches && decision.outcome == ConductorOutcome::accepted) {
    decision.fetch = ConductorFetch{planner.holder(), planner.best_match() - question.prefill[chosen].matched_tokens};
  }
  return decision;
}

}  // namespace baton
