// The promise of the whole: whatever dies, comes back, arrives late or twice, every stream is the undisturbed one, every request ends
// exactly once, and no block is left behind.
#include <gtest/gtest.h>

#include "tests/simulation/simulated_cluster_helpers.h"

namespace baton::testing {
namespace {

struct Case {
  const char* name;
  HandOffMode mode;
  std::vector<Role> roles;
  int crashes;
  std::uint64_t duplicate_one_in;
  std::uint64_t flip_every;
  std::uint32_t blocks;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

InstanceOptions options_of(std::size_t node, Role role, std::uint64_t life, const Case& c) {
  InstanceOptions options;
  options.self = {InstanceId{node + 1}, Incarnation{life}};
  options.role = role;
  options.model_fingerprint = kFakeModel;
  options.layers = 2;
  options.eos_tokens = {1, 2, 3};
  options.blocks = c.blocks;
  options.block_tokens = 4;
  options.max_model_len = 256;
  options.watermark_blocks = 2;
  options.chunk_tokens = 8;
  options.prefill_token_budget = 24;
  return options;
}

RequestSpec request(Random& random, std::uint64_t id) {
  RequestSpec spec;
  spec.id = RequestId{id * kChoiceStride};
  spec.gateway = kGatewayNode;
  const auto length = 1 + random.below(30);
  const bool shared = random.below(2) == 0;
  for (std::uint64_t i = 0; i < length; ++i) {
    spec.prompt.push_back(static_cast<TokenId>(10 + (shared ? i : random.below(kFakeVocabulary - 10))));
  }
  spec.sampling.seed = random.next();
  spec.sampling.max_tokens = static_cast<std::uint32_t>(1 + random.below(30));
  spec.choices = random.below(4) == 0 ? 3 : 1;
  return spec;
}

// Kills `c.crashes` instances at random moments, also the last of its role; each comes back in a new life.
void run(SimulatedCluster& cluster, const Case& c) {
  Random& random = cluster.net.random();
  std::vector<std::uint64_t> lives(c.roles.size(), 1);
  std::map<std::size_t, Instant> down;
  for (std::size_t node = 0; node < c.roles.size(); ++node) cluster.add(options_of(node, c.roles[node], 1, c));
  cluster.net.run_until([] { return false; }, Milliseconds{1});
  for (std::uint64_t id = 1; id <= 16; ++id) cluster.start(request(random, id));
  for (int crash = 0; crash < c.crashes && !cluster.all_over(); ++crash) {
    std::uint64_t events = random.below(200);
    cluster.net.run_until([&] { return events-- == 0 || cluster.all_over(); });
    const std::size_t node = random.below(c.roles.size());
    cluster.crash({InstanceId{node + 1}, Incarnation{lives[node]}});
    cluster.net.run_until([] { return false; }, Milliseconds{static_cast<std::int64_t>(random.below(20))});
    cluster.add(options_of(node, c.roles[node], ++lives[node], c));
  }
  cluster.net.run_until([&] { return cluster.all_over(); });
}

void expect_undisturbed(SimulatedCluster& cluster) {
  for (auto& [id, stream] : cluster.streams()) {
    ASSERT_TRUE(stream.outcome) << "request " << id.value << " never ended";
    ASSERT_FALSE(stream.outcome->error) << "request " << id.value << ": " << stream.outcome->error->message;
    for (std::uint32_t choice = 0; choice < stream.spec.choices; ++choice) {
      EXPECT_EQ(stream.output[choice], expected_output(stream.spec.prompt, static_cast<std::uint32_t>(stream.spec.prompt.size()),
                                                       stream.spec.sampling, choice, 2, {1, 2, 3}))
          << "request " << id.value << " choice " << choice;
    }
  }
}

void expect_no_leak(SimulatedCluster& cluster) {
  const auto idle = [&] { return std::ranges::all_of(cluster.net.nodes(), [](const auto& node) { return node->core.idle(); }); };
  EXPECT_TRUE(cluster.net.run_until(idle, Milliseconds{15000}));
  for (const auto& node : cluster.net.nodes()) {
    EXPECT_EQ(node->core.load().blocks_used, 0u);
    EXPECT_EQ(node->core.load().blocks_leased, 0u);
    EXPECT_TRUE(node->grants.empty());
    EXPECT_TRUE(node->sends.empty());
  }
}

class Cluster : public ::testing::TestWithParam<Case> {
 protected:
  // Over all seeds, what was to be survived must have happened.
  void expect_faults_were_met() const {
    EXPECT_EQ(recoveries_ > 0, GetParam().crashes > 0);
    EXPECT_EQ(rejected_ > 0, GetParam().flip_every > 0);
    if (GetParam().blocks < 100) {
      EXPECT_GT(preemptions_, 0u);
    }
  }

  void run_seeds(std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
      SCOPED_TRACE(seed);
      SimulatedCluster cluster(seed, GetParam().mode);
      cluster.net.duplicate_one_in = GetParam().duplicate_one_in;
      cluster.net.flip_every = GetParam().flip_every;
      run(cluster, GetParam());
      expect_undisturbed(cluster);
      expect_no_leak(cluster);
      rejected_ += cluster.net.slots_rejected;
      for (const auto& [id, stream] : cluster.streams()) {
        recoveries_ += stream.outcome->recoveries_prefill + stream.outcome->recoveries_decode;
      }
      for (const auto& node : cluster.net.nodes()) preemptions_ += node->core.stats().preemptions;
    }
    expect_faults_were_met();
  }

 private:
  std::uint64_t recoveries_ = 0, rejected_ = 0, preemptions_ = 0;
};
class ClusterSlow : public Cluster {};

TEST_P(Cluster, gives_every_stream_as_if_undisturbed_and_leaks_nothing) { run_seeds(1, 10); }
TEST_P(ClusterSlow, gives_every_stream_as_if_undisturbed_over_many_seeds) { run_seeds(11, 300); }

const std::vector<Role> kPair{Role::prefill, Role::decode};
const std::vector<Role> kFour{Role::prefill, Role::prefill, Role::decode, Role::decode};
const std::vector<Role> kMixed{Role::mixed, Role::mixed};
const Case kCases[] = {
    {"mixed", HandOffMode::pull, kMixed, 0, 0, 0, 300},
    {"mixed_with_crashes", HandOffMode::pull, kMixed, 3, 0, 0, 300},
    {"pull", HandOffMode::pull, kPair, 0, 0, 0, 300},
    {"pull_with_crashes", HandOffMode::pull, kPair, 3, 0, 0, 300},
    {"pull_four_with_crashes_and_duplicates", HandOffMode::pull, kFour, 4, 6, 0, 300},
    {"pull_four_in_little_memory_with_everything", HandOffMode::pull, kFour, 4, 6, 9, 24},
    {"push", HandOffMode::push_by_layer, kPair, 0, 0, 0, 300},
    {"push_with_crashes", HandOffMode::push_by_layer, kPair, 3, 0, 0, 300},
    {"push_four_with_crashes_and_duplicates", HandOffMode::push_by_layer, kFour, 4, 6, 0, 300},
    {"push_four_in_little_memory_with_everything", HandOffMode::push_by_layer, kFour, 4, 6, 9, 24},
};
const auto name_of_case = [](const auto& info) { return std::string{info.param.name}; };
INSTANTIATE_TEST_SUITE_P(Faults, Cluster, ::testing::ValuesIn(kCases), name_of_case);
INSTANTIATE_TEST_SUITE_P(Faults, ClusterSlow, ::testing::ValuesIn(kCases), name_of_case);

TEST(SimulatedRuns, are_functions_of_their_seed) {
  const Case& c = kCases[9];
  const auto fingerprint = [&](std::uint64_t seed) {
    SimulatedCluster cluster(seed, c.mode);
    cluster.net.duplicate_one_in = c.duplicate_one_in;
    cluster.net.flip_every = c.flip_every;
    run(cluster, c);
    std::vector<std::uint64_t> numbers{static_cast<std::uint64_t>(cluster.net.now().ns), cluster.net.slots_rejected};
    for (const auto& node : cluster.net.nodes()) {
      const InstanceStats& stats = node->core.stats();
      numbers.insert(numbers.end(), {stats.generated_tokens, stats.recomputed_tokens, stats.preemptions, stats.prompt_tokens_cached});
    }
    return numbers;
  };
  EXPECT_EQ(fingerprint(5), fingerprint(5));
  EXPECT_NE(fingerprint(5), fingerprint(6));
}

}  // namespace
}  // namespace baton::testing
