#include "runtime/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/random.h"
#include "runtime/sampling/logit_scan.h"
#include "runtime/sampling/portable_math.h"

namespace baton {
namespace {

constexpr float kLeastLogit = -std::numeric_limits<float>::infinity();
constexpr float kGreedyBelow = 1e-5f;         // vLLM's bound
constexpr double kGreatestTemperature = 1e6;  // flat already

bool masks_ends(const SamplingParams& params, const SamplingPosition& position) {
  return position.output_index() < params.min_tokens;
}

void mask_ends(std::vector<float>& logits, const SamplingParams& params, const SamplingPosition& position) {
  const auto mask = [&](TokenId token) {
    if (token >= 0 && static_cast<std::size_t>(token) < logits.size()) logits[token] = kLeastLogit;
  };
  std::for_each(position.eos.begin(), position.eos.end(), mask);
  std::for_each(params.stop_token_ids.begin(), params.stop_token_ids.end(), mask);
}

void add_bias(std::vector<float>& logits, const SamplingParams& params) {
  for (const auto& [token, bias] : params.logit_bias) {
    if (token >= 0 && static_cast<std::size_t>(token) < logits.size()) logits[token] += bias;
  }
}

void penalise(std::vector<float>& logits, const SamplingParams& params, const SamplingPosition& position) {
  constexpr std::uint32_t kInPrompt = 1u << 31;
  std::vector<std::uint32_t> seen(logits.size());   // times in the output, and whether in the prompt
  for (std::size_t i = 0; i < position.tokens.size(); ++i) {
    const TokenId token = position.tokens[i];
    if (token < 0 || static_cast<std::size_t>(token) >= seen.size()) continue;
    if (i < position.prompt_tokens) {
      seen[token] |= kInPrompt;
    } else {
      ++seen[token];
    }
  }
  for (std::size_t token = 0; token < seen.size(); ++token) {
    if (seen[token] == 0) continue;
    float& x = logits[token];
    x = x > 0 ? x / params.repetition_penalty : x * params.repetition_penalty;
    const auto times = static_cast<float>(seen[token] & ~kInPrompt);
    if (times == 0) continue;
    x -= params.frequency_penalty * times;
    x -= params.presence_penalty;
  }
}

// Over all tokens, in order of id.
TokenId draw_from_all(std::span<const float> logits, float greatest, double inverse_temperature, double unit) {
  const std::vector<double> sums = cumulated_weights(logits, greatest, inverse_temperature);
  const double target = unit * sums.back();
  auto block = std::upper_bound(sums.begin(), sums.end(), target);
  if (block == sums.end()) block = std::lower_bound(sums.begin(), sums.end(), sums.back());   // unit * total was rounded up to total
  const auto chosen = static_cast<std::size_t>(block - sums.begin());
  const std::size_t begin = chosen * kWeightBlock;
  const std::size_t end = std::min(begin + kWeightBlock, logits.size());
  double sum = chosen == 0 ? 0.0 : sums[chosen - 1];
  std::size_t last = begin;   // rounding may leave the target a hair above the sum: then the last possible token of the block
  for (std::size_t i = begin; i < end; ++i) {
    const double weight = weight_of(logits[i], greatest, inverse_temperature);
    if (weight == 0) continue;
    sum += weight;
    last = i;
    if (sum > target) break;
  }
  return static_cast<TokenId>(last);
}

// What the filters leave, best first.
struct Kept {
  std::vector<Candidate> candidates;
  std::vector<double> weights;
  double total = 0;
};

class Filter {
 public:
  Filter(std::span<const float> logits, float greatest, double inverse_temperature)
      : logits_(logits), greatest_(greatest), inverse_temperature_(inverse_temperature) {}

  Kept apply(const SamplingParams& params) const {
    const bool min_p = params.min_p > 0.0f;
    const bool top_k = params.top_k > 0 && static_cast<std::size_t>(params.top_k) < logits_.size();
    const bool top_p = params.top_p < 1.0f;
    double least = kLeastLogit;
    double whole = 0;   // of the weights that top_p takes its share of
    if (min_p) least = value_of_weight(std::clamp(static_cast<double>(params.min_p), 1e-30, 1.0));
    if (!min_p && !top_k) {   // then there is a top_p
      whole = cumulated_weights(logits_, greatest_, inverse_temperature_).back();
      // All tokens below this weight together cannot make up what top_p leaves out.
      const double below = (1.0 - params.top_p) * whole / static_cast<double>(logits_.size());
      if (below < 1.0) least = value_of_weight(below);
    }
    Kept kept;
    const auto k = static_cast<std::size_t>(top_k ? params.top_k : 0);
    kept.candidates = top_k && !min_p && k <= kFewCandidates ? best_of(logits_, k) : candidates_from(logits_, least);
    if (top_k && kept.candidates.size() > k) kept.candidates.resize(k);
    kept.weights = weights_of(kept.candidates, greatest_, inverse_temperature_);
    for (const double weight : kept.weights) kept.total += weight;
    if (top_p) keep_top_p(kept, params.top_p * (min_p || top_k ? kept.total : whole));
    return kept;
  }

 private:
  static constexpr std::size_t kFewCandidates = 1024;   // picked one by one; more are sorted

  double value_of_weight(double weight) const { return greatest_ + portable_log(weight) / inverse_temperature_; }

  // The smallest beginning that holds `enough`; one candidate at least.
  static void keep_top_p(Kept& kept, double enough) {
    double sum = 0;
    for (std::size_t i = 0; i < kept.weights.size(); ++i) {
      sum += kept.weights[i];
      if (sum < enough) continue;
      kept.candidates.resize(i + 1);
      kept.weights.resize(i + 1);
      kept.total = sum;
      return;
    }
  }

  std::span<const float> logits_;
  float greatest_;
  double inverse_temperature_;
};

TokenId draw_from(const Kept& kept, double unit) {
  const double target = unit * kept.total;
  double sum = 0;
  for (std::size_t i = 0; i < kept.weights.size(); ++i) {
    sum += kept.weights[i];
    if (sum > target) return kept.candidates[i].token;
  }
  return kept.candidates.front().token;   // unit * total was rounded up to total
}

TokenId choose(std::span<const float> logits, const SamplingParams& params, const SamplingPosition& position) {
  const Candidate best = best_of(logits);
  if (!(params.temperature >= kGreedyBelow) || best.value == kLeastLogit) return best.token;
  const double inverse_temperature = 1.0 / std::min(static_cast<double>(params.temperature), kGreatestTemperature);
  const double unit = draw_unit(params.seed, position.position, position.choice);
  const bool top_k = params.top_k > 0 && static_cast<std::size_t>(params.top_k) < logits.size();
  if (!top_k && !(params.min_p > 0.0f) && !(params.top_p < 1.0f)) return draw_from_all(logits, best.value, inverse_temperature, unit);
  return draw_from(Filter(logits, best.value, inverse_temperature).apply(params), unit);
}

class LogProbabilities {
 public:
  explicit LogProbabilities(std::span<const float> logits) : logits_(logits), greatest_(best_of(logits).value) {
    if (greatest_ > kLeastLogit) log_sum_ = portable_log(cumulated_weights(logits, greatest_, 1.0).back());
  }

  float of(float logit) const {
    if (greatest_ == kLeastLogit) return kLeastLogprob;
    const double logprob = (static_cast<double>(clean_logit(logit)) - greatest_) - log_sum_;
    return std::max(static_cast<float>(logprob), kLeastLogprob);
  }

  ScoredToken score(TokenId token, std::int32_t top) const {
    ScoredToken out;
    const auto best = best_of(logits_, static_cast<std::size_t>(std::max(top, 0)));
    for (std::size_t i = 0; i < best.size(); ++i) {
      out.top.push_back({best[i].token, of(best[i].value), static_cast<std::int32_t>(i + 1)});
    }
    out.chosen = {token, of(logits_[token]), rank_of(logits_, token)};
    return out;
  }

 private:
  std::span<const float> logits_;
  float greatest_;
  double log_sum_ = 0;
};

}  // namespace

ScoredToken sample(std::span<const float> logits, const SamplingParams& params, const SamplingPosition& position) {
  CHECK(!logits.empty(), "sampling from no logits");
  const bool ends = masks_ends(params, position);
  TokenId token;
  if (ends || !params.logit_bias.empty() || params.needs_history()) {
    std::vector<float> adjusted(logits.begin(), logits.end());
    if (ends) mask_ends(adjusted, params, position);
    add_bias(adjusted, params);
    if (params.needs_history()) penalise(adjusted, params, position);
    token = choose(adjusted, params, position);
  } else {
    token = choose(logits, params, position);
  }
  if (params.logprobs < 0) return ScoredToken{{token, 0.0f, 0}, {}};
  return LogProbabilities(logits).score(token, params.logprobs);
}

ScoredToken score(std::span<const float> logits, TokenId token, std::int32_t top) {
  CHECK(token >= 0 && static_cast<std::size_t>(token) < logits.size(), "token {} of {} logits", token, logits.size());
  return LogProbabilities(logits).score(token, top);
}

}  // namespace baton
