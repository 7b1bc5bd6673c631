// Algorithm 1, branch by branch. Estimates are simple enough to add up in one's head: 1024 tokens are computed in a second, 8192 moved.
#include "runtime/cluster/conductor.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace baton {
namespace {

class Simple final : public ConductorEstimates {
 public:
  explicit Simple(double transfer_s_per_token = 1.0 / 8192) : transfer_s_per_token_(transfer_s_per_token) {}
  double prefill_s(std::uint64_t prompt, std::uint64_t reused) const override { return static_cast<double>(prompt - reused) / 1024; }
  double transfer_s(std::uint32_t, std::uint32_t, std::uint64_t tokens) const override {
    return static_cast<double>(tokens) * transfer_s_per_token_;
  }

 private:
  double transfer_s_per_token_;
};

struct Case {
  std::string what;
  std::vector<ConductorPrefill> prefill;
  std::vector<ConductorDecode> decode;
  ConductorDecision expected;
};

constexpr ConductorOptions kOptions{.balancing_threshold = 2, .ttft_slo_s = 8, .tbt_slo_s = 0.125};
constexpr auto kAccepted = ConductorOutcome::accepted;

// Prompts of 4096 tokens.
ConductorDecision decide(const Case& c, const ConductorOptions& options = kOptions, const Simple& estimates = Simple{}) {
  return conduct(options, {.prompt_tokens = 4096, .prefill = c.prefill, .decode = c.decode}, estimates);
}

TEST(Conductor, follows_algorithm_1_in_each_branch) {
  const std::vector<Case> cases = {
      {"empty caches: the shortest queue", {{0, 1}, {0, 0.5}}, {{0.0625}}, {kAccepted, 1, 0, 4.5, 0.0625, 0, {}}},
      {"the holder itself has nothing to fetch", {{2048, 0}}, {{0.0625}}, {kAccepted, 0, 0, 2, 0.0625, 2048, {}}},
      {"ratio just below the threshold, the holder free",
       {{2047, 0}, {1024, 0}},
       {{0.0625}},
       {kAccepted, 0, 0, 2049 / 1024.0, 0.0625, 2047, {}}},
      {"ratio just below the threshold, the holder busy", {{2047, 4}, {1024, 0}}, {{0.0625}}, {kAccepted, 1, 0, 3, 0.0625, 1024, {}}},
      {"ratio at the threshold fetches nothing", {{2048, 4}, {1024, 0}}, {{0.0625}}, {kAccepted, 1, 0, 3, 0.0625, 1024, {}}},
      {"ratio above the threshold fetches the difference",
       {{2056, 4}, {1024, 0}},
       {{0.0625}},
       {kAccepted, 1, 0, 1032 / 8192.0 + 2040 / 1024.0, 0.0625, 2056, ConductorFetch{0, 1032}}},
      {"an empty cache beside a full one fetches all",
       {{0, 0}, {4096, 4}},
       {{0.0625}},
       {kAccepted, 0, 0, 0.5, 0.0625, 4096, ConductorFetch{1, 4096}}},
      {"best is chosen: nothing moves", {{1024, 0}, {4096, 0}}, {{0.0625}}, {kAccepted, 1, 0, 0, 0.0625, 4096, {}}},
      {"equal sums keep the first instance", {{1024, 1}, {1024, 1}, {1024, 1}}, {{0.0625}}, {kAccepted, 0, 0, 4, 0.0625, 1024, {}}},
      {"equal matches name the first holder",
       {{0, 0}, {2048, 4}, {2048, 4}},
       {{0.0625}},
       {kAccepted, 0, 0, 2.25, 0.0625, 2048, ConductorFetch{1, 2048}}},
      {"decode: the least TBT, the first of equals", {{0, 0}}, {{0.125}, {0.0625}, {0.0625}}, {kAccepted, 0, 1, 4, 0.0625, 0, {}}},
      {"decode: none without room", {{0, 0}}, {{0.03125, false}, {0.0625}}, {kAccepted, 0, 1, 4, 0.0625, 0, {}}},
      {"both SLOs met exactly", {{0, 4}}, {{0.125}}, {kAccepted, 0, 0, 8, 0.125, 0, {}}},
      {"TTFT missed", {{0, 4.5}}, {{0.125}}, {ConductorOutcome::ttft_slo, 0, 0, 8.5, 0.125, 0, {}}},
      {"TBT missed", {{0, 4}}, {{0.25}}, {ConductorOutcome::tbt_slo, 0, 0, 8, 0.25, 0, {}}},
      {"both missed", {{0, 4.5}}, {{0.25}}, {ConductorOutcome::both_slos, 0, 0, 8.5, 0.25, 0, {}}},
      {"a refused request moves nothing", {{0, 0}, {4096, 9}}, {{0.25}}, {ConductorOutcome::tbt_slo, 0, 0, 0.5, 0.25, 4096, {}}},
      {"no prefill instance", {}, {{0.0625}}, {}},
      {"no decode instance", {{0, 0}}, {}, {}},
      {"no decode instance with room", {{0, 0}}, {{0.0625, false}}, {}},
  };
  for (const Case& c : cases) EXPECT_EQ(decide(c), c.expected) << c.what;
}

TEST(Conductor, fetches_by_the_ratio_alone_unless_told_to_compare) {
  const Case c{"", {{0, 0}, {2048, 4}}, {{0.0625}}, {}};
  const Simple slow_link(1.0 / 512);                       // 4 s for what is computed in 2
  ConductorOptions options = kOptions;
  EXPECT_EQ(decide(c, options, slow_link), (ConductorDecision{kAccepted, 0, 0, 6, 0.0625, 2048, ConductorFetch{1, 2048}}));
  options.fetch_only_if_sooner = true;
  EXPECT_EQ(decide(c, options, slow_link), (ConductorDecision{kAccepted, 0, 0, 4, 0.0625, 0, {}}));
  EXPECT_EQ(decide(c, options), (ConductorDecision{kAccepted, 0, 0, 2.25, 0.0625, 2048, ConductorFetch{1, 2048}}));
}

TEST(Conductor, with_a_threshold_of_one_fetches_whatever_is_missing) {
  const Case c{"", {{4096, 4}, {4088, 0}}, {{0.0625}}, {}};
  EXPECT_EQ(decide(c).fetch, std::nullopt);
  EXPECT_EQ(decide(c, {.balancing_threshold = 1}).fetch, (ConductorFetch{0, 8}));
}

TEST(Conductor, refuses_options_without_meaning) {
  EXPECT_TRUE(check(ConductorOptions{}).ok());
  EXPECT_EQ(check({.balancing_threshold = 0.5}).error().message, "balancing_threshold must be a number from 1 up, not 0.5");
  EXPECT_EQ(check({.balancing_threshold = std::numeric_limits<double>::quiet_NaN()}).error().parameter, "balancing_threshold");
  EXPECT_EQ(check({.ttft_slo_s = 0}).error().message, "ttft_slo_s must be above 0, not 0");
  EXPECT_EQ(check({.tbt_slo_s = -1}).error().message, "tbt_slo_s must be above 0, not -1");
}

}  // namespace
}  // namespace baton
