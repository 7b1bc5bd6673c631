// Passes over a row of logits. What they read is cleaned first: NaN counts as minus infinity, plus infinity as the greatest
// float, so that every result is defined whatever a model produces. Order: greater value first, then lower id.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/sampling/portable_math.h"

namespace baton {

inline float clean_logit(float x) {
  constexpr float kGreatest = std::numeric_limits<float>::max();
  const float number = x == x ? x : -std::numeric_limits<float>::infinity();
  return number < kGreatest ? number : kGreatest;
}

struct Candidate {
  float value = 0;
  TokenId token = 0;
};
inline bool better(const Candidate& a, const Candidate& b) { return a.value > b.value || (a.value == b.value && a.token < b.token); }

// The first of the order; token 0 and minus infinity when every logit is minus infinity. `logits` is not empty.
Candidate best_of(std::span<const float> logits);

// The first min(k, size) of the order, in order.
std::vector<Candidate> best_of(std::span<const float> logits, std::size_t k);

// All that are at or above `least` and above minus infinity, in order.
std::vector<Candidate> candidates_from(std::span<const float> logits, double least);

// 1 for the first of the order.
std::int32_t rank_of(std::span<const float> logits, TokenId token);

// Weights exp((x - greatest) * inverse_temperature), summed in an order that depends on nothing but the size: 8 lanes in a block
// of 64, blocks in ascending order. `greatest` is best_of(logits).value and finite. sums[b]: of blocks 0 .. b.
constexpr std::size_t kWeightBlock = 64;
inline double weight_of(float logit, float greatest, double inverse_temperature) {
  return portable_exp((static_cast<double>(clean_logit(logit)) - greatest) * inverse_temperature);
}
std::vector<double> weights_of(std::span<const Candidate> candidates, float greatest, double inverse_temperature);
std::vector<double> cumulated_weights(std::span<const float> logits, float greatest, double inverse_temperature);

}  // namespace baton
