// Whole cores against each other: whatever the order of events, disaggregated or not, chunked, preempted or with corrupted
// blocks, every stream is the one that the tokens alone determine, and nothing is left behind.
#include <gtest/gtest.h>

#include "tests/runtime/instance/fake_gateway_helpers.h"

namespace baton::testing {
namespace {

struct Case {
  const char* name;
  HandOffMode mode;
  std::uint32_t blocks;
  std::uint32_t chunk_tokens;
  std::uint32_t max_running;
  std::uint64_t flip_every;
};

class Streams : public ::testing::TestWithParam<Case> {};

void expect_expected(FakeGateway& gateway, const InstanceOptions& options) {
  for (const auto& [key, t] : gateway.tracked()) {
    ASSERT_FALSE(t.failed) << key.request.value << ": " << t.failed->error.message;
    for (std::uint32_t choice = 0; choice < t.request.choices; ++choice) {
      EXPECT_EQ(t.output.at(choice), expected_output(t.request.tokens, t.request.prompt_tokens, t.request.sampling, choice,
                                                     options.layers, options.eos_tokens))
          << key.request.value << " choice " << choice;
    }
  }
}

void expect_nothing_left(FakeCluster& cluster) {
  cluster.run_until([&] { return std::ranges::all_of(cluster.nodes(), [](const auto& n) { return n->core.idle(); }); });
  for (const auto& node : cluster.nodes()) {
    EXPECT_TRUE(node->core.idle());
    EXPECT_EQ(node->core.load().blocks_used, 0u);
    EXPECT_EQ(node->core.load().blocks_leased, 0u);
    EXPECT_TRUE(node->grants.empty());
    EXPECT_TRUE(node->sends.empty());
  }
}

void expect_undisturbed(const Case& c, std::uint64_t seed, const std::string& order) {
  SCOPED_TRACE(fmt::format("{} {}", order, seed));
  FakeCluster cluster(seed);
  cluster.flip_every = c.flip_every;
  InstanceOptions options = instance(1, c.blocks);
  options.chunk_tokens = c.chunk_tokens;
  options.max_running = c.max_running;
  options.prefill_token_budget = 24;
  options.max_step_tokens = 40;
  options.queue_order = order;
  options.queue_ageing = Milliseconds{seed % 2 == 0 ? 20 : 100'000};
  const InstanceRef p = cluster.add(options).options.self;
  InstanceRef d = p;
  if (c.mode != HandOffMode::local) {
    options.self.id = InstanceId{2};
    d = cluster.add(options).options.self;
  }
  FakeGateway gateway(cluster);
  for (std::uint64_t id = 1; id <= 24; ++id) gateway.dispatch(random_request(cluster.random(), id, p, d, c.mode, 40, 30));
  ASSERT_TRUE(cluster.run_until([&] { return gateway.all_over(); }));
  expect_expected(gateway, options);
  expect_nothing_left(cluster);
  std::uint64_t preemptions = 0, recomputed = 0, rejected = 0;
  for (const auto& node : cluster.nodes()) {
    preemptions += node->core.stats().preemptions;
    recomputed += node->core.stats().recomputed_tokens;
    rejected += node->core.stats().blocks_rejected;
  }
  EXPECT_EQ(rejected, cluster.slots_rejected);
  if (c.flip_every > 0) {
    EXPECT_GT(recomputed, 0u);
  } else if (preemptions == 0 && c.blocks >= 1000) {
    EXPECT_EQ(recomputed, 0u);
  }
}

TEST_P(Streams, equal_the_undisturbed_output_under_any_order_of_events) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) expect_undisturbed(GetParam(), seed, "fcfs");
}

TEST_P(Streams, are_the_same_in_every_order_of_the_queue) {
  for (const char* order : {"srpt", "mlfq"}) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) expect_undisturbed(GetParam(), seed, order);
  }
}

INSTANTIATE_TEST_SUITE_P(Instances, Streams,
                         ::testing::Values(Case{"mixed", HandOffMode::local, 1000, 16, 64, 0},
                                           Case{"mixed_whole_prompts", HandOffMode::local, 1000, 0, 64, 0},
                                           Case{"mixed_in_little_memory", HandOffMode::local, 24, 16, 64, 0},
                                           Case{"mixed_in_small_batches", HandOffMode::local, 1000, 5, 3, 0},
                                           Case{"pull", HandOffMode::pull, 1000, 16, 64, 0},
                                           Case{"pull_in_little_memory", HandOffMode::pull, 24, 7, 64, 0},
                                           Case{"pull_with_corrupt_blocks", HandOffMode::pull, 1000, 16, 64, 7},
                                           Case{"push", HandOffMode::push_by_layer, 1000, 7, 64, 0},
                                           Case{"push_in_little_memory", HandOffMode::push_by_layer, 24, 7, 64, 0},
                                           Case{"push_with_corrupt_blocks", HandOffMode::push_by_layer, 1000, 7, 64, 7}),
                         [](const auto& info) { return std::string{info.param.name}; });

}  // namespace
}  // namespace baton::testing
