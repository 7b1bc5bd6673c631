// Mooncake's Conductor: where a request is prefilled and decoded, which part of a cached prefix is fetched from another instance, and
// whether the request is taken at all. A pure function of what the scheduler knows; the copy it asks for is also how hot blocks get
// replicas.
//
//   best = the longest match with the prompt in any prefill instance's cache, and who has it
//   each prefill instance i:   best / match_i > threshold   fetch what it lacks from best's holder:  transfer + queue + prefill(best)
//                              else                         use what it has:                                    queue + prefill(match_i)
//   prefill  = the least of these sums (TTFT), the first of equals         decode = the least predicted TBT, the first of equals
//   refused (429) if TTFT > its SLO or TBT > its SLO
//
// Source: FAST'25, Algorithm 1. What it leaves open: the ratio to an empty match is infinite if anybody matches and 1 if nobody does; a
// ratio equal to the threshold fetches nothing (arXiv v3 counts the transfer's time there and copies nothing).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "runtime/base/result.h"

namespace baton {

struct ConductorOptions {
  double balancing_threshold = 2;          // kvcache_balancing_threshold, at least 1; the paper names no value
  double ttft_slo_s = 30;                  // arXiv v3, section 8.1
  double tbt_slo_s = 0.1;
  // The paper fetches whenever the ratio says so. True: only where that is also sooner than computing the prefix again.
  bool fetch_only_if_sooner = false;
};

// Errors: invalid_config, naming the option, unless the threshold is at least 1 and finite and both SLOs are above 0.
Status check(const ConductorOptions& options);

struct ConductorPrefill {
  std::uint64_t matched_tokens = 0;        // of the prompt, in this instance's cache, from its start: full blocks
  double queue_s = 0;                      // predicted time of what waits there
};

struct ConductorDecode {
  double tbt_s = 0;                        // predicted with this request in its batch
  bool has_room = true;                    // for the request's KV; without it the instance is no candidate
};

// Predictions, seconds. Fitted offline (prefill) or from the state of the links (transfer).
class ConductorEstimates {
 public:
  virtual ~ConductorEstimates() = default;
  virtual double prefill_s(std::uint64_t prompt_tokens, std::uint64_t reused_tokens) const = 0;
  virtual double transfer_s(std::uint32_t from, std::uint32_t to, std::uint64_t tokens) const = 0;     // indices of prefill instances
};

struct ConductorQuestion {
  std::uint64_t prompt_tokens = 0;
  std::span<const ConductorPrefill> prefill;
  std::span<const ConductorDecode> decode;
};

enum class ConductorOutcome : std::uint8_t { accepted, nobody_there, ttft_slo, tbt_slo, both_slos };

struct ConductorFetch {
  std::uint32_t from = 0;                  // a prefill instance
  std::uint64_t tokens = 0;                // the part that the chosen instance lacks
  bool operator==(const ConductorFetch&) const = default;
};

// Which instances would have been best is told of a refused request too, so that the refusal can say by how much.
struct ConductorDecision {
  ConductorOutcome outcome = ConductorOutcome::nobody_there;
  std::uint32_t prefill = 0;               // indices; meaningless with nobody_there
  std::uint32_t decode = 0;
  double ttft_s = 0;
  double tbt_s = 0;
  std::uint64_t reused_tokens = 0;         // by the prefill, fetched ones with them
  std::optional<ConductorFetch> fetch;     // only if accepted
  bool operator==(const ConductorDecision&) const = default;
};

// `options` have been checked; matched_tokens are at most prompt_tokens.
ConductorDecision conduct(const ConductorOptions& options, const ConductorQuestion& question, const ConductorEstimates& estimates);

}  // namespace baton
