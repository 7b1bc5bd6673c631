#include "runtime/sampling/logit_scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace baton {
namespace {

constexpr std::size_t kLanes = 16;   // explicit lanes let the compiler use whatever vectors there are without reordering

// Greater floats to lesser keys. Adding zero makes one of the two zeros, which are equal.
std::uint32_t descending_key(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value + 0.0f);
  return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

// In order of id before; stable, so equal values stay so. Radix sort: a flat distribution leaves tens of thousands to sort.
void sort_by_value(std::vector<Candidate>& candidates) {
  if (candidates.size() < 256) return std::sort(candidates.begin(), candidates.end(), better);
  constexpr int kDigitBits = 11;
  constexpr std::uint32_t kDigits = 1u << kDigitBits;
  std::vector<Candidate> other(candidates.size());
  for (int shift = 0; shift < 32; shift += kDigitBits) {
    const auto digit = [&](const Candidate& c) { return descending_key(c.value) >> shift & (kDigits - 1); };
    std::array<std::uint32_t, kDigits> place{};
    for (const Candidate& c : candidates) ++place[digit(c)];
    std::uint32_t sum = 0;
    for (std::uint32_t& p : place) sum += std::exchange(p, sum);
    for (const Candidate& c : candidates) other[place[digit(c)]++] = c;
    candidates.swap(other);
  }
}

}  // namespace

Candidate best_of(std::span<const float> logits) {
  constexpr float kLeast = -std::numeric_limits<float>::infinity();
  std::array<float, kLanes> lanes;
  lanes.fill(kLeast);
  const std::size_t whole = logits.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) lanes[j] = logits[i + j] > lanes[j] ? logits[i + j] : lanes[j];   // a NaN loses
  }
  for (std::size_t i = whole; i < logits.size(); ++i) lanes[0] = logits[i] > lanes[0] ? logits[i] : lanes[0];
  const float greatest = *std::max_element(lanes.begin(), lanes.end());
  if (greatest == kLeast) return {kLeast, 0};
  if (clean_logit(greatest) != greatest) {   // plus infinity ties with the greatest float
    const auto first = std::find_if(logits.begin(), logits.end(), [&](float x) { return clean_logit(x) == clean_logit(greatest); });
    return {clean_logit(greatest), static_cast<TokenId>(first - logits.begin())};
  }
  std::size_t at = 0;
  for (; at < whole; at += kLanes) {
    int equal = 0;
    for (std::size_t j = 0; j < kLanes; ++j) equal |= logits[at + j] == greatest;
    if (equal) break;
  }
  while (logits[at] != greatest) ++at;
  return {greatest, static_cast<TokenId>(at)};
}

std::vector<Candidate> best_of(std::span<const float> logits, std::size_t k) {
  k = std::min(k, logits.size());
  std::vector<Candidate> best;   // a heap whose top is the last of the order
  if (k == 0) return best;
  best.reserve(k);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const Candidate candidate{clean_logit(logits[i]), static_cast<TokenId>(i)};
    if (best.size() < k) {
      best.push_back(candidate);
      std::push_heap(best.begin(), best.end(), better);
    } else if (candidate.value > best.front().value) {   // an equal one has a higher id
      std::pop_heap(best.begin(), best.end(), better);
      best.back() = candidate;
      std::push_heap(best.begin(), best.end(), better);
    }
  }
  std::sort_heap(best.begin(), best.end(), better);
  return best;
}

std::vector<Candidate> candidates_from(std::span<const float> logits, double least) {
  const double bound = std::max(least, static_cast<double>(std::numeric_limits<float>::lowest()));
  std::size_t count = 0;
  for (const float x : logits) count += clean_logit(x) >= bound;
  std::vector<Candidate> found(count + 1);   // one more, so that every logit can be written before it is judged
  std::size_t next = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float value = clean_logit(logits[i]);
    found[next] = {value, static_cast<TokenId>(i)};
    next += value >= bound;
  }
  found.resize(count);
  sort_by_value(found);
  return found;
}

std::int32_t rank_of(std::span<const float> logits, TokenId token) {
  const float value = clean_logit(logits[token]);
  std::int32_t greater = 0;
  for (const float x : logits) greater += clean_logit(x) > value;
  for (TokenId i = 0; i < token; ++i) greater += clean_logit(logits[i]) == value;
  return greater + 1;
}

std::vector<double> weights_of(std::span<const Candidate> candidates, float greatest, double inverse_temperature) {
  std::vector<double> weights(candidates.size());
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = weight_of(candidates[i].value, greatest, inverse_temperature);
  return weights;
}

std::vector<double> cumulated_weights(std::span<const float> logits, float greatest, double inverse_temperature) {
  std::vector<double> sums;
  sums.reserve(logits.size() / kWeightBlock + 1);
  double total = 0;
  for (std::size_t begin = 0; begin < logits.size(); begin += kWeightBlock) {
    std::array<double, 8> lanes{};
    if (begin + kWeightBlock <= logits.size()) {
      std::array<double, kWeightBlock> weights;
      for (std::size_t i = 0; i < kWeightBlock; ++i) weights[i] = weight_of(logits[begin + i], greatest, inverse_temperature);
      for (std::size_t i = 0; i < kWeightBlock; i += 8) {
        for (std::size_t j = 0; j < 8; ++j) lanes[j] += weights[i + j];
      }
    } else {
      for (std::size_t i = begin; i < logits.size(); ++i) lanes[i % 8] += weight_of(logits[i], greatest, inverse_temperature);
    }
    total += ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    sums.push_back(total);
  }
  return sums;
}

}  // namespace baton
