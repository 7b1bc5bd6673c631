#include "runtime/sampling/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "runtime/base/random.h"

namespace baton {
namespace {

using ::testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_logits(std::size_t size, std::uint64_t seed, double spread = 3.0) {
  Random random{seed};
  std::vector<float> logits(size);
  for (float& x : logits) x = static_cast<float>(spread * (random.unit() + random.unit() + random.unit() - 1.5));
  return logits;
}

SamplingParams greedy() {
  SamplingParams params;
  params.temperature = 0;
  return params;
}

TokenId token(std::span<const float> logits, const SamplingParams& params, const SamplingPosition& position = {}) {
  return sample(logits, params, position).chosen.token;
}

// Every token that some of `draws` positions gave.
std::set<TokenId> support(std::span<const float> logits, const SamplingParams& params, std::uint32_t draws = 3000) {
  std::set<TokenId> seen;
  for (std::uint32_t i = 0; i < draws; ++i) seen.insert(token(logits, params, {.position = i}));
  return seen;
}

// Chi-square of the counts of `draws` positions against the probabilities.
double chi_square(std::span<const float> logits, const SamplingParams& params, const std::map<TokenId, double>& expected, int draws) {
  std::map<TokenId, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[token(logits, params, {.position = static_cast<std::uint32_t>(i)})];
  double sum = 0;
  for (const auto& [id, count] : counts) EXPECT_TRUE(expected.contains(id)) << "token " << id << " drawn " << count << " times";
  for (const auto& [id, p] : expected) sum += (counts[id] - p * draws) * (counts[id] - p * draws) / (p * draws);
  return sum;
}

std::map<TokenId, double> softmax(const std::map<TokenId, double>& logits, double temperature) {
  std::map<TokenId, double> out;
  double sum = 0;
  for (const auto& [id, x] : logits) sum += out[id] = std::exp(x / temperature);
  for (auto& [id, p] : out) p /= sum;
  return out;
}

const std::vector<float> kSmall{1.0f, -0.5f, 2.0f, 0.0f, 1.5f};

TEST(Sampler, draws_from_the_softmax_of_logits_over_temperature) {
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      SamplingParams params;
      params.temperature = temperature;
      params.seed = seed;
      const auto expected = softmax({{0, 1.0}, {1, -0.5}, {2, 2.0}, {3, 0.0}, {4, 1.5}}, temperature);
      EXPECT_LT(chi_square(kSmall, params, expected, 20000), 23.5) << "T " << temperature << " seed " << seed;   // 4 degrees, p 1e-4
    }
  }
}

TEST(Sampler, renormalises_over_what_the_filters_leave) {
  struct Case {
    const char* name;
    void (*set)(SamplingParams&);
    std::map<TokenId, double> left;
  };
  const Case cases[] = {
      {"top_k", [](SamplingParams& p) { p.top_k = 3; }, {{2, 2.0}, {4, 1.5}, {0, 1.0}}},
      {"top_p", [](SamplingParams& p) { p.top_p = 0.6f; }, {{2, 2.0}, {4, 1.5}}},                   // 0.471, 0.286, ...
      {"min_p", [](SamplingParams& p) { p.min_p = 0.3f; }, {{2, 2.0}, {4, 1.5}, {0, 1.0}}},         // 1, 0.61, 0.37, 0.135, ...
      {"top_k then top_p", [](SamplingParams& p) { p.top_k = 3; p.top_p = 0.6f; }, {{2, 2.0}, {4, 1.5}}},
  };
  for (const Case& c : cases) {
    SamplingParams params;
    params.seed = 11;
    c.set(params);
    EXPECT_LT(chi_square(kSmall, params, softmax(c.left, 1.0), 20000), 20.0) << c.name;
  }
}

TEST(Sampler, filters_leave_what_their_definition_says) {
  struct Case {
    const char* name;
    void (*set)(SamplingParams&);
    std::set<TokenId> left;
  };
  const Case cases[] = {
      {"off", [](SamplingParams&) {}, {0, 1, 2, 3, 4}},
      {"top_k of 1", [](SamplingParams& p) { p.top_k = 1; }, {2}},
      {"top_k beyond the vocabulary", [](SamplingParams& p) { p.top_k = 500; }, {0, 1, 2, 3, 4}},
      {"top_p too small for any", [](SamplingParams& p) { p.top_p = 0.0f; }, {2}},
      {"top_p of 1", [](SamplingParams& p) { p.top_p = 1.0f; }, {0, 1, 2, 3, 4}},
      {"top_p reached by two", [](SamplingParams& p) { p.top_p = 0.7f; }, {2, 4}},
      {"min_p of 1", [](SamplingParams& p) { p.min_p = 1.0f; }, {2}},
      {"min_p above 1", [](SamplingParams& p) { p.min_p = 5.0f; }, {2}},
      {"min_p after temperature", [](SamplingParams& p) { p.min_p = 0.3f; p.temperature = 4.0f; }, {0, 1, 2, 3, 4}},
      {"a forbidden token", [](SamplingParams& p) { p.logit_bias = {{2, -kInfinity}}; }, {0, 1, 3, 4}},
      {"a forced token", [](SamplingParams& p) { p.logit_bias = {{3, 100.0f}}; }, {3}},
      {"a tiny temperature is greedy", [](SamplingParams& p) { p.temperature = 1e-6f; }, {2}},
      {"a temperature that is no number is greedy", [](SamplingParams& p) { p.temperature = kNaN; }, {2}},
      {"an endless temperature is flat", [](SamplingParams& p) { p.temperature = kInfinity; }, {0, 1, 2, 3, 4}},
  };
  for (const Case& c : cases) {
    SamplingParams params;
    params.seed = 5;
    c.set(params);
    EXPECT_EQ(support(kSmall, params), c.left) << c.name;
  }
}

TEST(Sampler, ties_go_to_the_lower_id) {
  std::vector<float> logits(100, 1.0f);
  logits[70] = logits[30] = 2.0f;
  EXPECT_EQ(token(logits, greedy()), 30);
  SamplingParams params;
  params.top_k = 4;
  EXPECT_EQ(support(logits, params), (std::set<TokenId>{0, 1, 30, 70}));
  logits[3] = 0.0f;
  logits[2] = -0.0f;
  EXPECT_EQ(score(logits, 0, 4).top[2].token, 0);
  const std::vector<float> zeros{-0.0f, 0.0f, -0.0f};
  EXPECT_EQ(token(zeros, greedy()), 0);
}

TEST(Sampler, greedy_finds_the_greatest_wherever_it_is) {
  for (const std::size_t size : {1u, 2u, 15u, 16u, 17u, 63u, 64u, 65u, 1000u}) {
    for (std::size_t at = 0; at < size; ++at) {
      std::vector<float> logits = random_logits(size, size);
      logits[at] = 50.0f;
      ASSERT_EQ(token(logits, greedy()), static_cast<TokenId>(at)) << size;
    }
  }
}

TEST(Sampler, a_result_is_defined_for_any_logits) {
  const std::vector<std::vector<float>> rows{
      {kNaN, kNaN, kNaN},           {-kInfinity, -kInfinity},         {kInfinity, 1.0f, kInfinity}, {kNaN, kInfinity, -kInfinity},
      {-kInfinity, kNaN, 0.0f},     std::vector<float>(200, kNaN),    {3.4e38f, -3.4e38f, kInfinity}, {0.0f}};
  const TokenId expected[] = {0, 0, 0, 1, 2, 0, 2, 0};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(token(rows[i], greedy()), expected[i]) << i;
    for (const float top_p : {1.0f, 0.9f}) {
      for (const std::int32_t top_k : {0, 2}) {
        SamplingParams params;
        params.top_p = top_p;
        params.top_k = top_k;
        params.logprobs = 5;
        params.repetition_penalty = 1.3f;
        const ScoredToken out = sample(rows[i], params, {});
        EXPECT_GE(out.chosen.token, 0);
        EXPECT_LT(out.chosen.token, static_cast<TokenId>(rows[i].size()));
        for (const TokenLogprob& t : out.top) EXPECT_TRUE(t.logprob <= 0.0f && t.logprob >= kLeastLogprob) << t.logprob;
      }
    }
  }
}

TEST(Sampler, a_masked_token_is_never_drawn) {
  std::vector<float> logits(300, -kInfinity);
  logits[130] = -5.0f;
  logits[7] = kNaN;
  SamplingParams params;
  EXPECT_EQ(support(logits, params, 500), std::set<TokenId>{130});
  params.top_p = 0.999f;
  EXPECT_EQ(support(logits, params, 500), std::set<TokenId>{130});
}

TEST(Sampler, penalties_count_what_they_say) {
  const std::vector<TokenId> tokens{0, 1, 1, 2, 2, 2};   // the first three are the prompt
  struct Case {
    const char* name;
    void (*set)(SamplingParams&);
    std::vector<float> logits;
    TokenId expected;
  };
  const Case cases[] = {
      {"none", [](SamplingParams&) {}, {5, 4, 3, 2}, 0},
      {"repetition divides the positive, prompt and output", [](SamplingParams& p) { p.repetition_penalty = 4.0f; }, {5, 4, 3, 2}, 3},
      {"repetition multiplies the negative", [](SamplingParams& p) { p.repetition_penalty = 3.0f; }, {-1, -1, -1, -2}, 3},
      {"repetition ignores how often", [](SamplingParams& p) { p.repetition_penalty = 2.0f; }, {1, 1, 6, 2}, 2},
      {"presence spares the prompt", [](SamplingParams& p) { p.presence_penalty = 2.0f; }, {1, 2, 3, 0}, 1},
      {"presence does not add up", [](SamplingParams& p) { p.presence_penalty = 1.0f; }, {0, 1, 3, 0}, 2},
      {"frequency adds up", [](SamplingParams& p) { p.frequency_penalty = 1.0f; }, {0, 1, 3, 0}, 1},
      {"negative presence attracts", [](SamplingParams& p) { p.presence_penalty = -2.0f; }, {1, 1, 0, 1}, 2},
  };
  for (const Case& c : cases) {
    SamplingParams params = greedy();
    c.set(params);
    EXPECT_EQ(token(c.logits, params, {.tokens = tokens, .prompt_tokens = 3, .position = 6}), c.expected) << c.name;
  }
}

TEST(Sampler, history_with_tokens_out_of_range_is_ignored) {
  const std::vector<TokenId> tokens{-1, 900, 1};
  SamplingParams params = greedy();
  params.presence_penalty = 1.0f;
  params.logit_bias = {{-3, 5.0f}, {77, 5.0f}};
  params.min_tokens = 9;
  params.stop_token_ids = {-2, 400};
  EXPECT_EQ(token(kSmall, params, {.tokens = tokens, .prompt_tokens = 0, .position = 3}), 2);
}

TEST(Sampler, min_tokens_masks_every_end_until_that_many_are_out) {
  const std::vector<TokenId> eos{2};
  SamplingParams params = greedy();
  params.min_tokens = 3;
  params.stop_token_ids = {4};
  for (std::uint32_t output = 0; output < 6; ++output) {
    EXPECT_EQ(token(kSmall, params, {.prompt_tokens = 10, .position = 10 + output, .eos = eos}), output < 3 ? 0 : 2) << output;
  }
  params.logit_bias = {{2, 50.0f}};   // a bias does not bring it back
  EXPECT_EQ(token(kSmall, params, {.prompt_tokens = 10, .position = 10, .eos = eos}), 0);
}

TEST(Sampler, is_a_function_of_seed_choice_and_absolute_position_only) {
  const std::vector<float> logits = random_logits(5000, 9);
  SamplingParams params;
  params.top_p = 0.95f;
  params.seed = 42;
  std::set<TokenId> over_positions, over_choices, over_seeds;
  for (std::uint32_t i = 0; i < 64; ++i) {
    const SamplingPosition here{.prompt_tokens = 5, .position = 100 + i};
    EXPECT_EQ(sample(logits, params, here), sample(logits, params, here));
    const SamplingPosition recomputed{.prompt_tokens = 60, .position = 100 + i};   // the boundary has no part in the draw
    EXPECT_EQ(token(logits, params, here), token(logits, params, recomputed));
    over_positions.insert(token(logits, params, here));
    over_choices.insert(token(logits, params, {.position = 100, .choice = i}));
    SamplingParams other = params;
    other.seed = i;
    over_seeds.insert(token(logits, other, {.position = 100}));
  }
  EXPECT_GT(over_positions.size(), 40u);
  EXPECT_GT(over_choices.size(), 40u);
  EXPECT_GT(over_seeds.size(), 40u);
}

TEST(Sampler, penalties_do_not_depend_on_how_the_history_came_about) {
  const std::vector<float> logits = random_logits(400, 3);
  std::vector<TokenId> tokens;
  Random random{8};
  for (int i = 0; i < 200; ++i) tokens.push_back(static_cast<TokenId>(random.below(400)));
  SamplingParams params;
  params.repetition_penalty = 1.2f;
  params.presence_penalty = 0.4f;
  params.frequency_penalty = 0.3f;
  const SamplingPosition position{.tokens = tokens, .prompt_tokens = 90, .position = 200};
  const TokenId first = token(logits, params, position);
  std::reverse(tokens.begin() + 90, tokens.end());   // counts, not order
  std::reverse(tokens.begin(), tokens.begin() + 90);
  EXPECT_EQ(token(logits, params, position), first);
}

// Whatever the filters do inside, the answer is that of sorting everything.
TEST(Sampler, agrees_with_a_full_sort_at_every_size) {
  for (const std::size_t size : {3u, 100u, 255u, 256u, 257u, 5000u}) {
    for (const double spread : {0.5, 4.0, 20.0}) {
      std::vector<float> logits = random_logits(size, size + static_cast<std::size_t>(spread), spread);
      for (std::size_t i = 0; i + 7 < size; i += 7) logits[i + 3] = logits[i];   // ties
      std::vector<TokenId> order(size);
      for (std::size_t i = 0; i < size; ++i) order[i] = static_cast<TokenId>(i);
      std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
      double total = 0;
      for (const float x : logits) total += std::exp(static_cast<double>(x) - logits[order[0]]);
      for (const float top_p : {0.3f, 0.9f, 0.999f}) {
        double sum = 0;
        std::size_t kept = 0;
        while (kept < size && sum < top_p * total) sum += std::exp(static_cast<double>(logits[order[kept++]]) - logits[order[0]]);
        const std::set<TokenId> allowed(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept));
        SamplingParams params;
        params.top_p = top_p;
        for (std::uint32_t i = 0; i < 300; ++i) ASSERT_TRUE(allowed.contains(token(logits, params, {.position = i})));
      }
      const ScoredToken best = score(logits, order[size / 2], 20);
      for (std::size_t i = 0; i < best.top.size(); ++i) ASSERT_EQ(best.top[i].token, order[i]);
      EXPECT_EQ(best.chosen.rank, static_cast<std::int32_t>(size / 2 + 1));
    }
  }
}

TEST(Sampler, log_probabilities_are_those_of_the_logits_before_anything) {
  const std::vector<float> logits = random_logits(1000, 4);
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  SamplingParams params;
  params.temperature = 0.3f;
  params.logit_bias = {{17, 90.0f}};
  params.logprobs = 3;
  const ScoredToken out = sample(logits, params, {});
  EXPECT_EQ(out.chosen.token, 17);
  EXPECT_NEAR(out.chosen.logprob, logits[17] - std::log(sum), 1e-5);
  ASSERT_EQ(out.top.size(), 3u);
  EXPECT_EQ(out.top[0].rank, 1);
  EXPECT_EQ(out, score(logits, 17, 3));
}

TEST(Sampler, a_token_has_one_log_probability_bit_for_bit) {
  const std::vector<float> logits = random_logits(50, 6);
  const ScoredToken all = score(logits, 0, 50);
  ASSERT_EQ(all.top.size(), 50u);
  double sum = 0;
  for (const TokenLogprob& entry : all.top) {
    EXPECT_EQ(score(logits, entry.token, 0).chosen, entry);
    sum += std::exp(static_cast<double>(entry.logprob));
  }
  EXPECT_NEAR(sum, 1.0, 1e-6);
}

TEST(Sampler, computes_no_log_probability_that_nobody_asked_for) {
  EXPECT_EQ(sample(kSmall, greedy(), {}), (ScoredToken{{2, 0.0f, 0}, {}}));
  SamplingParams params = greedy();
  params.logprobs = 0;
  const ScoredToken out = sample(kSmall, params, {});
  EXPECT_TRUE(out.top.empty());
  EXPECT_LT(out.chosen.logprob, 0.0f);
  EXPECT_EQ(out.chosen.rank, 1);
}

// Pinned: nodes of different builds and machines must draw the same tokens.
TEST(Sampler, draws_these_tokens_everywhere) {
  const std::vector<float> logits = random_logits(1000, 21);
  SamplingParams params;
  params.seed = 7;
  params.temperature = 0.8f;
  std::vector<TokenId> plain, filtered;
  for (std::uint32_t i = 0; i < 8; ++i) plain.push_back(token(logits, params, {.position = i}));
  params.top_p = 0.9f;
  params.min_p = 0.02f;
  for (std::uint32_t i = 0; i < 8; ++i) filtered.push_back(token(logits, params, {.position = i}));
  EXPECT_THAT(plain, ElementsAre(578, 410, 474, 578, 744, 513, 846, 615));
  EXPECT_THAT(filtered, ElementsAre(712, 662, 522, 712, 422, 833, 880, 214));
}

}  // namespace
}  // namespace baton
