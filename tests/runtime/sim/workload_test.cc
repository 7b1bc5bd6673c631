// What is generated: the stated means and rates, the same bytes for the same seed, and prefixes that are shared as sessions share them.
#include "runtime/sim/workload.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "runtime/base/hash.h"
#include "runtime/sim/cache_replay.h"
#include "runtime/sim/draws.h"

namespace baton::sim {
namespace {

Workload parsed(const std::string& yaml) {
  auto workload = parse_workload(yaml, "w.yaml", "");
  EXPECT_TRUE(workload.ok()) << workload.error().message;
  return workload.ok() ? *workload : Workload{};
}

Trace generated(const Workload& workload, double rate, std::size_t count, std::uint64_t seed) {
  auto trace = generate(workload, rate, count, seed);
  EXPECT_TRUE(trace.ok()) << trace.error().message;
  return trace.ok() ? *trace : Trace{};
}

Trace named(const std::string& name, std::size_t count, std::uint64_t seed = 1) {
  const auto workload = load_workload(name);
  EXPECT_TRUE(workload.ok()) << workload.error().message;
  return generated(*workload, workload->rate, count, seed);
}

Workload with_arrivals(const std::string& arrivals) {
  return parsed("arrivals: " + arrivals + "\nlengths: {prompt: {constant: 512}, output: {constant: 64}}\n");
}

struct Moments {
  double mean = 0, cv = 0;
};
template <class Value>
Moments moments(const Trace& trace, Value value) {
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    sum += value(i);
    squares += value(i) * value(i);
  }
  const double n = static_cast<double>(trace.size()), mean = sum / n;
  return {mean, std::sqrt(squares / n - mean * mean) / mean};
}
Moments gaps(const Trace& trace) {
  return moments(trace, [&](std::size_t i) { return i == 0 ? 0 : trace[i].arrival_s - trace[i - 1].arrival_s; });
}
double mean_prompt(const Trace& t) { return moments(t, [&](std::size_t i) { return double(t[i].prompt_tokens); }).mean; }
double mean_output(const Trace& t) { return moments(t, [&](std::size_t i) { return double(t[i].output_tokens); }).mean; }

TEST(Workload, of_each_name_has_the_means_that_its_source_states) {
  struct Stated {
    const char* name;
    double prompt, output, tolerance;
  };
  // The sessions' lengths are heavy-tailed: a trace of 12,000 requests has its mean within some per cent only.
  const Stated all[] = {{"sharegpt", 755.5, 200.3, 0.005},        {"humaneval", 171.3, 98.2, 0.005},
                        {"longbench", 1738.3, 90.7, 0.005},       {"azure_code", 2047.85, 27.88, 0.05},
                        {"azure_conv", 1154.70, 211.13, 0.02},    {"mooncake_conversation", 12035, 343, 0.03},
                        {"mooncake_synthetic", 15325, 149, 0.03}};
  for (const Stated& s : all) {
    const Trace trace = named(s.name, s.tolerance == 0.03 ? 12'000 : 200'000);
    EXPECT_NEAR(mean_prompt(trace), s.prompt, s.prompt * s.tolerance) << s.name;
    EXPECT_NEAR(mean_output(trace), s.output, s.output * s.tolerance) << s.name;
  }
  EXPECT_EQ(workload_names().size(), 7u);
}

TEST(Workload, keeps_prompt_and_output_within_the_models_positions) {
  for (const TraceRequest& request : named("sharegpt", 20'000)) ASSERT_LT(request.prompt_tokens + request.output_tokens, 2048u);
  for (const TraceRequest& request : named("longbench", 20'000)) ASSERT_LE(request.prompt_tokens + request.output_tokens, 2040u);
}

// The same bytes on every machine: no libm, and one draw for each question. A change of these numbers changes every published experiment.
TEST(Workload, of_a_seed_is_the_same_bytes_everywhere) {
  const std::map<std::string, std::uint64_t> expected = {
      {"azure_code", 10651344635193599895u},          {"azure_conv", 17791664270769308668u},         {"humaneval", 5286376502816492682u},
      {"longbench", 3567811413851560722u},            {"mooncake_conversation", 9595427804887092543u},
      {"mooncake_synthetic", 2724416974590821779u},   {"sharegpt", 1629077290033019820u}};
  for (const std::string& name : workload_names()) {
    const std::string text = to_mooncake_jsonl(named(name, 2000, 7));
    EXPECT_EQ(text, to_mooncake_jsonl(named(name, 2000, 7)));
    EXPECT_NE(text, to_mooncake_jsonl(named(name, 2000, 8)));
    EXPECT_EQ(hash64(text), expected.at(name)) << name;
  }
  const std::string bursts = to_mooncake_jsonl(generated(with_arrivals("{process: on_off, on_s: 3, off_s: 7}"), 4, 2000, 7)) +
                             to_mooncake_jsonl(generated(with_arrivals("{process: gamma, cv: 4}"), 4, 2000, 7));
  EXPECT_EQ(hash64(bursts), 16405625636693466331u);
}

TEST(Workload, at_another_rate_is_the_same_requests_closer_together) {
  const Workload workload = *load_workload("azure_conv");
  const Trace slow = generated(workload, 2, 500, 3), fast = generated(workload, 8, 500, 3);
  for (std::size_t i = 0; i < slow.size(); ++i) {
    EXPECT_EQ(slow[i].prompt_tokens, fast[i].prompt_tokens);
    EXPECT_EQ(slow[i].output_tokens, fast[i].output_tokens);
    EXPECT_EQ(slow[i].arrival_s, 4 * fast[i].arrival_s);
  }
}

TEST(Workload, arrives_by_its_process) {
  const Trace poisson = generated(with_arrivals("{process: poisson}"), 4, 100'000, 1);
  EXPECT_EQ(poisson[0].arrival_s, 0);
  EXPECT_NEAR(gaps(poisson).mean, 0.25, 0.0025);
  EXPECT_NEAR(gaps(poisson).cv, 1, 0.01);
  for (const double cv : {0.3, 1.0, 3.0}) {
    const Trace gamma = generated(with_arrivals("{process: gamma, cv: " + std::to_string(cv) + "}"), 4, 100'000, 1);
    EXPECT_NEAR(gaps(gamma).mean, 0.25, 0.0025 * (1 + cv));
    EXPECT_NEAR(gaps(gamma).cv, cv, 0.03 * cv);
  }
  const Trace fixed = generated(with_arrivals("{process: fixed}"), 4, 9, 1);
  for (std::size_t i = 0; i < fixed.size(); ++i) EXPECT_EQ(fixed[i].arrival_s, 0.25 * static_cast<double>(i));
  const Trace closed = generated(with_arrivals("{process: closed_loop, clients: 3, think_s: 1}"), 4, 9, 1);
  for (const TraceRequest& r : closed) EXPECT_EQ(r.arrival_s, 0);
}

TEST(Workload, in_bursts_keeps_the_rate_and_leaves_the_pauses_empty) {
  const Trace trace = generated(with_arrivals("{process: on_off, on_s: 5, off_s: 15}"), 4, 200'000, 1);
  EXPECT_NEAR(gaps(trace).mean, 0.25, 0.0125);
  std::size_t pauses = 0;
  double paused = 0;
  for (std::size_t i = 1; i < trace.size(); ++i) {
    const double gap = trace[i].arrival_s - trace[i - 1].arrival_s;
    ASSERT_GE(gap, 0);
    if (gap < 2) continue;                                 // e^-32 while on, at 16 a second
    ++pauses;
    paused += gap;
  }
  EXPECT_NEAR(paused / trace.back().arrival_s, 0.75, 0.02);
  EXPECT_NEAR(trace.back().arrival_s / static_cast<double>(pauses), 20 / std::exp(-2.0 / 15), 1);      // pauses under 2 s are not counted
}

TEST(Workload, of_a_trace_draws_pairs_that_occur_in_it) {
  Workload workload;
  workload.lengths.observed = {{10, 1}, {20, 2}, {30, 3}};
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  for (const TraceRequest& r : generated(workload, 1, 200, 1)) seen.insert({r.prompt_tokens, r.output_tokens});
  EXPECT_EQ(seen, (std::set<std::pair<std::uint32_t, std::uint32_t>>{{10, 1}, {20, 2}, {30, 3}}));
}

TEST(Workload, draws_lengths_by_their_distribution) {
  const Workload workload = parsed("lengths: {prompt: {uniform: [3, 6]}, output: {quantiles: [[0, 10], [0.5, 20], [1, 40]]}}\n");
  std::map<std::uint32_t, int> prompts;
  int low = 0;
  const Trace trace = generated(workload, 1, 40'000, 1);
  for (const TraceRequest& r : trace) {
    ++prompts[r.prompt_tokens];
    low += r.output_tokens < 20;
    ASSERT_TRUE(r.output_tokens >= 10 && r.output_tokens <= 40);
  }
  ASSERT_EQ(prompts.size(), 4u);
  for (const auto& [tokens, count] : prompts) EXPECT_NEAR(count, 10'000, 400) << tokens;
  EXPECT_NEAR(low, 19'000, 400);                           // 20 itself begins at 19.5
  EXPECT_NEAR(mean_output(trace), (15 + 30) / 2.0, 0.2);
}

TEST(Sessions, share_the_full_blocks_of_the_turn_before_and_the_system_prompt) {
  const Workload workload = parsed(
      "sessions: {block_tokens: 16, kinds: [{system_tokens: 40, turns: 1000000, think_s: 0, first: {constant: 10}, later: {constant: 5}, "
      "output: {constant: 7}}, {system_tokens: 40, first: {constant: 10}, output: {constant: 7}}]}\n");
  Workload one = workload, other = workload;
  one.sessions.resize(1);
  const Trace turns = generated(one, 1, 3, 1);
  EXPECT_EQ(turns[0], (TraceRequest{"0", 0, 50, 7, {0, 1, 2, 3}}));            // 0 and 1: the system prompt's; 3: partial
  EXPECT_EQ(turns[1].prompt_tokens, 62u);
  EXPECT_EQ(turns[1].blocks, (std::vector<std::uint64_t>{0, 1, 2, 4}));
  EXPECT_EQ(turns[2].prompt_tokens, 74u);
  EXPECT_EQ(turns[2].blocks, (std::vector<std::uint64_t>{0, 1, 2, 5, 6}));
  other.sessions.erase(other.sessions.begin());
  const Trace strangers = generated(other, 1, 2, 1);
  EXPECT_EQ(strangers[0].blocks, (std::vector<std::uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(strangers[1].blocks, (std::vector<std::uint64_t>{0, 1, 4, 5}));
}

TEST(Sessions, name_a_block_by_its_whole_prefix) {
  const Workload workload = parsed(
      "sessions:\n  block_tokens: 16\n  kinds:\n"
      "    - {system_tokens: 100, system_prompts: 3, turns: 4, think_s: 5, first: {uniform: [1, 90]}, later: {uniform: [1, 40]}, output: "
      "{uniform: [1, 20]}, most_prompt: 400}\n"
      "    - {turns: 2, first: {constant: 64}, later: {constant: 1}, output: {constant: 1}}\n");
  std::map<std::uint64_t, std::vector<std::uint64_t>> prefix_of;
  std::uint32_t longest = 0;
  const Trace trace = generated(workload, 3, 4000, 1);
  for (const TraceRequest& r : trace) {
    ASSERT_EQ(r.blocks.size(), (r.prompt_tokens + 15) / 16);
    longest = std::max(longest, r.prompt_tokens);
    for (std::size_t i = 0; i < r.blocks.size(); ++i) {
      const std::vector<std::uint64_t> prefix(r.blocks.begin(), r.blocks.begin() + static_cast<std::ptrdiff_t>(i));
      ASSERT_EQ(prefix_of.emplace(r.blocks[i], prefix).first->second, prefix);
    }
  }
  EXPECT_LE(longest, 400u);
  EXPECT_GT(longest, 350u);
  EXPECT_GT(replay_cache(trace, "lru", 0)->block_hit_rate(), 0.5);
}

TEST(Sessions, of_mooncakes_workloads_reuse_as_much_as_its_traces) {
  const auto conversation = replay_cache(named("mooncake_conversation", 12'031), "lru", 0);
  EXPECT_NEAR(conversation->block_hit_rate(), 0.366, 0.03);
  const Trace synthetic = named("mooncake_synthetic", 12'000);
  EXPECT_NEAR(replay_cache(synthetic, "lru", 0)->block_hit_rate(), 0.640, 0.03);
  std::set<std::uint64_t> seen;
  std::size_t cold = 0;
  for (const TraceRequest& r : synthetic) {
    cold += !seen.contains(r.blocks.front());
    seen.insert(r.blocks.begin(), r.blocks.end());
  }
  EXPECT_NEAR(static_cast<double>(cold) / 12'000, 0.55, 0.03);
  for (const TraceRequest& r : named("mooncake_conversation", 1000)) ASSERT_EQ(r.blocks.front(), 0u);    // one system prompt for all
}

TEST(Workload, without_meaning_is_refused) {
  const Workload workload = with_arrivals("{process: poisson}");
  EXPECT_EQ(generate(workload, 0, 1, 1).error().message, "0 requests a second: the rate must be from 1e-06 to 1000000000");
  EXPECT_FALSE(generate(workload, std::nan(""), 1, 1).ok());
  EXPECT_FALSE(generate(workload, -1, 1, 1).ok());
  EXPECT_EQ(generate(workload, 1, 0, 1).error().message, "0 requests: ask for 1 to 1000000000");
  EXPECT_EQ(generate(with_arrivals("{process: on_off, on_s: 0.25, off_s: 0.25}"), 1e-5, 9, 1).error().message,
            "1e-05 requests a second and bursts every 0.5 s: most bursts would be empty; make them longer");
}

TEST(Draws, invert_the_normal_distribution) {
  for (const double p : {1e-15, 1e-6, 0.001, 0.0242, 0.0243, 0.1, 0.5, 0.8, 0.9757, 0.9758, 0.999, 1 - 1e-12}) {
    const double back = 0.5 * std::erfc(-normal_quantile(p) / std::sqrt(2.0));
    EXPECT_NEAR(back, p, 1e-8 * std::min(p, 1 - p) * 10) << p;
  }
  EXPECT_EQ(normal_quantile(0.5), 0);
}

}  // namespace
}  // namespace baton::sim
