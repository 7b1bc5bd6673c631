// Each policy's choice from a table of loads, and the door by which policies come in.
#include "runtime/cluster/routing_registry.h"

#include <gtest/gtest.h>

#include <map>

namespace baton {
namespace {

InstanceLoad load(std::uint64_t id, std::uint64_t pending, std::uint32_t running, std::uint32_t free) {
  return {.id = InstanceId{id}, .pending_tokens = pending, .running = running, .blocks_free = free, .blocks_total = 1000};
}

struct Choice {
  std::string policy;
  std::vector<InstanceLoad> loads;
  std::vector<std::uint32_t> candidates;
  std::uint64_t chosen;                    // id
};

TEST(Routing, chooses_by_its_rule_and_ties_by_the_lowest_id) {
  const std::vector<Choice> cases = {
      {"jsq", {load(1, 50, 0, 0), load(2, 10, 9, 0), load(3, 20, 0, 0)}, {0, 1, 2}, 2},
      {"jsq", {load(1, 50, 0, 0), load(2, 10, 9, 0), load(3, 20, 0, 0)}, {0, 2}, 3},
      {"jsq", {load(1, 10, 5, 0), load(2, 10, 4, 0)}, {0, 1}, 2},
      {"jsq", {load(7, 10, 4, 0), load(2, 10, 4, 0)}, {0, 1}, 2},
      {"least_memory", {load(1, 0, 0, 10), load(2, 99, 0, 90), load(3, 0, 0, 80)}, {0, 1, 2}, 2},
      {"least_memory", {load(1, 9, 0, 90), load(2, 5, 0, 90)}, {0, 1}, 2},
      {"power_of_two", {load(1, 9, 0, 0), load(2, 5, 0, 0)}, {0, 1}, 2},
      {"power_of_two", {load(1, 9, 0, 0), load(2, 5, 0, 0)}, {0}, 1},
      {"round_robin", {load(5, 9, 0, 0), load(2, 5, 0, 0)}, {0, 1}, 2},
  };
  for (const Choice& c : cases) {
    Random random{1};
    const auto policy = make_routing(c.policy);
    ASSERT_TRUE(policy.ok());
    const std::uint32_t chosen = (*policy)->choose({.loads = c.loads, .candidates = c.candidates}, random);
    EXPECT_EQ(c.loads[chosen].id, InstanceId{c.chosen}) << c.policy;
  }
}

TEST(Routing, in_turn_visits_everyone_and_keeps_prefill_and_decode_apart) {
  const auto policy = make_routing("round_robin");
  std::vector<InstanceLoad> loads = {load(3, 0, 0, 0), load(1, 0, 0, 0), load(2, 0, 0, 0)};
  const std::vector<std::uint32_t> all = {0, 1, 2};
  Random random{1};
  const auto next = [&](Part part) { return loads[(*policy)->choose({.part = part, .loads = loads, .candidates = all}, random)].id.value; };
  EXPECT_EQ(next(Part::prefill), 1u);
  EXPECT_EQ(next(Part::prefill), 2u);
  EXPECT_EQ(next(Part::decode), 1u);
  EXPECT_EQ(next(Part::prefill), 3u);
  EXPECT_EQ(next(Part::prefill), 1u);
  loads[2].id = InstanceId{9};               // 2 left and 9 came
  EXPECT_EQ(next(Part::prefill), 3u);
  EXPECT_EQ(next(Part::prefill), 9u);
}

TEST(Routing, by_two_random_ones_never_takes_the_longest_queue_and_repeats_with_its_seed) {
  std::vector<InstanceLoad> loads;
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i < 10; ++i) {
    loads.push_back(load(i, i, 0, 0));
    all.push_back(i);
  }
  std::map<std::uint32_t, int> first, second;
  for (auto* chosen : {&first, &second}) {
    const auto policy = make_routing("power_of_two");
    Random random{42};
    for (int i = 0; i < 1000; ++i) ++(*chosen)[(*policy)->choose({.loads = loads, .candidates = all}, random)];
  }
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.count(9), 0u);
  EXPECT_EQ(first.size(), 9u);
  EXPECT_GT(first[0], first[8]);
}

TEST(Routing, of_an_unknown_name_is_refused_with_the_nearest) {
  const auto policy = make_routing("jqs");
  ASSERT_FALSE(policy.ok());
  EXPECT_EQ(policy.error().message, "unknown routing policy \"jqs\"; did you mean \"jsq\"?");
  EXPECT_EQ(make_routing("quantum").error().message,
            "unknown routing policy \"quantum\"; known: jsq, least_memory, power_of_two, prefix_aware, round_robin");
}

class Last final : public RoutingPolicy {
 public:
  std::uint32_t choose(const RoutingQuestion& question, Random&) override { return question.candidates.back(); }
};

TEST(RoutingRegistry, takes_anybody_s_policy_once) {
  ASSERT_TRUE(register_routing("last", [] { return std::make_unique<Last>(); }).ok());
  EXPECT_FALSE(register_routing("last", [] { return std::make_unique<Last>(); }).ok());
  EXPECT_FALSE(register_routing("jsq", [] { return std::make_unique<Last>(); }).ok());
  EXPECT_FALSE(register_routing("", [] { return std::make_unique<Last>(); }).ok());
  EXPECT_TRUE(make_routing("last").ok());
}

}  // namespace
}  // namespace baton
