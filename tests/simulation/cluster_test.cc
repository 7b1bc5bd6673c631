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
  int kv_cuts = 0;
  int scheduler_crashes = 0;
  std::uint64_t fail_one_send_in = 0;
  const char* queue_order = "fcfs";
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
  options.queue_order = c.queue_order;
  options.queue_ageing = Milliseconds{200};
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

// One cluster under its faults. What is broken is mended after a while, and what died comes back in a new life.
class Disturbed {
 public:
  Disturbed(SimulatedCluster& cluster, const Case& c) : cluster_(cluster), case_(c), lives_(c.roles.size(), 1) {
    cluster.net.duplicate_one_in = c.duplicate_one_in;
    cluster.net.flip_every = c.flip_every;
    cluster.net.fail_one_send_in = c.fail_one_send_in;
    for (std::size_t node = 0; node < c.roles.size(); ++node) cluster.add(options_of(node, c.roles[node], 1, c));
    pass(Milliseconds{1});
  }

  InstanceRef living(std::size_t node) const { return {InstanceId{node + 1}, Incarnation{lives_[node]}}; }
  void pass(Duration time) { cluster_.net.run_until([] { return false; }, time); }
  void pass_at_most_ms(std::uint64_t ms) { pass(Milliseconds{static_cast<std::int64_t>(cluster_.net.random().below(ms))}); }

  void crash(std::size_t node) {
    cluster_.crash(living(node));
    pass_at_most_ms(20);
    cluster_.add(options_of(node, case_.roles[node], ++lives_[node], case_));
  }
  void cut_kv() {
    Random& random = cluster_.net.random();
    const std::size_t a = random.below(case_.roles.size());
    const std::size_t b = (a + 1 + random.below(case_.roles.size() - 1)) % case_.roles.size();
    cluster_.net.cut_kv(living(a), living(b));
    pass_at_most_ms(600);
    cluster_.net.mend_kv(living(a), living(b));
  }
  void crash_scheduler() {
    cluster_.crash_scheduler();
    pass_at_most_ms(400);
    cluster_.restart_scheduler();
  }

 private:
  SimulatedCluster& cluster_;
  const Case& case_;
  std::vector<std::uint64_t> lives_;
};

// All faults of the case at random moments and in random order.
void run(SimulatedCluster& cluster, const Case& c) {
  Random& random = cluster.net.random();
  Disturbed disturbed(cluster, c);
  for (std::uint64_t id = 1; id <= 16; ++id) cluster.start(request(random, id));
  int crashes = c.crashes, kv_cuts = c.kv_cuts, scheduler_crashes = c.scheduler_crashes;
  while (crashes + kv_cuts + scheduler_crashes > 0 && !cluster.all_over()) {
    std::uint64_t events = random.below(200);
    cluster.net.run_until([&] { return events-- == 0 || cluster.all_over(); });
    const auto fault = static_cast<int>(random.below(static_cast<std::uint64_t>(crashes + kv_cuts + scheduler_crashes)));
    if (fault < crashes) {
      --crashes;
      disturbed.crash(random.below(c.roles.size()));
    } else if (fault < crashes + kv_cuts) {
      --kv_cuts;
      disturbed.cut_kv();
    } else {
      --scheduler_crashes;
      disturbed.crash_scheduler();
    }
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
    EXPECT_EQ(sends_failed_ > 0, GetParam().kv_cuts > 0 || GetParam().fail_one_send_in > 0);
    if (GetParam().blocks < 100) {
      EXPECT_GT(preemptions_, 0u);
    }
  }

  void run_seeds(std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
      SCOPED_TRACE(seed);
      SimulatedCluster cluster(seed, GetParam().mode);
      run(cluster, GetParam());
      expect_undisturbed(cluster);
      expect_no_leak(cluster);
      rejected_ += cluster.net.slots_rejected;
      sends_failed_ += cluster.net.sends_failed;
      for (const auto& [id, stream] : cluster.streams()) {
        recoveries_ += stream.outcome->recoveries_prefill + stream.outcome->recoveries_decode;
      }
      for (const auto& node : cluster.net.nodes()) preemptions_ += node->core.stats().preemptions;
    }
    expect_faults_were_met();
  }

 private:
  std::uint64_t recoveries_ = 0, rejected_ = 0, sends_failed_ = 0, preemptions_ = 0;
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
    {"pull_with_links_cut", HandOffMode::pull, kPair, 0, 0, 0, 300, 3},
    {"pull_with_failing_sends", HandOffMode::pull, kPair, 0, 6, 0, 300, 0, 0, 30},
    {"pull_while_the_scheduler_comes_and_goes", HandOffMode::pull, kPair, 0, 0, 0, 300, 0, 3},
    {"pull_four_with_all_that_can_break", HandOffMode::pull, kFour, 3, 6, 9, 40, 3, 2, 60},
    {"push", HandOffMode::push_by_layer, kPair, 0, 0, 0, 300},
    {"push_with_crashes", HandOffMode::push_by_layer, kPair, 3, 0, 0, 300},
    {"push_four_with_crashes_and_duplicates", HandOffMode::push_by_layer, kFour, 4, 6, 0, 300},
    {"push_four_in_little_memory_with_everything", HandOffMode::push_by_layer, kFour, 4, 6, 9, 24},
    {"push_with_links_cut", HandOffMode::push_by_layer, kPair, 0, 0, 0, 300, 3},
    {"push_with_failing_sends", HandOffMode::push_by_layer, kPair, 0, 6, 0, 300, 0, 0, 30},
    {"push_four_with_all_that_can_break", HandOffMode::push_by_layer, kFour, 3, 6, 9, 40, 3, 2, 60},
    {"mixed_by_levels_with_crashes", HandOffMode::pull, kMixed, 3, 0, 0, 300, 0, 0, 0, "mlfq"},
    {"pull_four_shortest_first_with_all_that_can_break", HandOffMode::pull, kFour, 3, 6, 9, 40, 3, 2, 60, "srpt"},
    {"push_four_shortest_first_in_little_memory_with_everything", HandOffMode::push_by_layer, kFour, 4, 6, 9, 24, 0, 0, 0, "srpt"},
    {"push_four_by_levels_with_all_that_can_break", HandOffMode::push_by_layer, kFour, 3, 6, 9, 40, 3, 2, 60, "mlfq"},
};
const Case& case_named(const std::string& name) {
  return *std::ranges::find_if(kCases, [&](const Case& c) { return name == c.name; });
}
const auto name_of_case = [](const auto& info) { return std::string{info.param.name}; };
INSTANTIATE_TEST_SUITE_P(Faults, Cluster, ::testing::ValuesIn(kCases), name_of_case);
INSTANTIATE_TEST_SUITE_P(Faults, ClusterSlow, ::testing::ValuesIn(kCases), name_of_case);

TEST(SimulatedRuns, are_functions_of_their_seed) {
  const Case& c = case_named("push_four_with_all_that_can_break");
  const auto fingerprint = [&](std::uint64_t seed) {
    SimulatedCluster cluster(seed, c.mode);
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

RequestSpec long_request(std::uint64_t seed, std::uint32_t tokens) {
  RequestSpec spec;
  spec.id = RequestId{kChoiceStride};
  spec.gateway = kGatewayNode;
  for (TokenId token = 10; token < 30; ++token) spec.prompt.push_back(token);
  spec.sampling.seed = seed;
  spec.sampling.max_tokens = tokens;
  spec.sampling.ignore_eos = true;
  return spec;
}

TEST(SimulatedFaults, goes_on_with_a_stream_that_is_disturbed_far_more_often_than_an_attempt_may_fail_in_vain) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster(seed, HandOffMode::pull);
    Disturbed disturbed(cluster, case_named("pull"));
    RequestSpec spec = long_request(seed, 150);
    spec.max_attempts = 3;
    cluster.start(spec);
    auto& stream = cluster.streams().at(spec.id);
    for (std::size_t tokens = 5; tokens < 140; tokens += 7) {
      ASSERT_TRUE(cluster.net.run_until([&] { return stream.output[0].size() >= tokens || stream.outcome; }));
      disturbed.crash(1);
    }
    ASSERT_TRUE(cluster.net.run_until([&] { return cluster.all_over(); }));
    expect_undisturbed(cluster);
    expect_no_leak(cluster);
    EXPECT_GE(stream.outcome->recoveries_prefill + stream.outcome->recoveries_decode, 5 * spec.max_attempts);
  }
}

// A hand-off that cannot happen costs a recompute, not a wait: neither for the transfer's deadline nor for another assignment.
TEST(SimulatedFaults, does_not_stall_on_a_kv_link_that_is_down) {
  for (const HandOffMode mode : {HandOffMode::pull, HandOffMode::push_by_layer}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE(seed);
      SimulatedCluster cluster(seed, mode);
      Disturbed disturbed(cluster, case_named("pull"));
      const Instant begin = cluster.net.now();
      cluster.net.cut_kv(disturbed.living(0), disturbed.living(1));
      const RequestSpec spec = long_request(seed, 40);
      cluster.start(spec);
      ASSERT_TRUE(cluster.net.run_until([&] { return cluster.all_over(); }));
      EXPECT_LT(cluster.net.now() - begin, Milliseconds{100});
      EXPECT_EQ(cluster.streams().at(spec.id).outcome->recoveries_prefill, 0u);
      EXPECT_GT(cluster.net.sends_failed, 0u);
      expect_undisturbed(cluster);
      expect_no_leak(cluster);
    }
  }
}

TEST(SimulatedFaults, hands_off_again_once_a_kv_link_is_mended_whichever_half_comes_first) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster(seed, HandOffMode::pull);
    Disturbed disturbed(cluster, case_named("pull"));
    cluster.net.cut_kv(disturbed.living(0), disturbed.living(1));
    disturbed.pass(Milliseconds{500});
    cluster.net.mend_kv(disturbed.living(0), disturbed.living(1));
    disturbed.pass(Milliseconds{20});
    cluster.start(long_request(seed, 40));
    ASSERT_TRUE(cluster.net.run_until([&] { return cluster.all_over(); }));
    expect_undisturbed(cluster);
    for (const auto& node : cluster.net.nodes()) EXPECT_EQ(node->core.stats().recomputed_tokens, 0u);
  }
}

TEST(SimulatedFaults, pairs_a_prefill_instance_with_the_decode_instance_that_its_kv_can_reach) {
  const Case three{"three", HandOffMode::pull, {Role::prefill, Role::decode, Role::decode}, 0, 0, 0, 300};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster(seed, HandOffMode::pull);
    Disturbed disturbed(cluster, three);
    cluster.net.cut_kv(disturbed.living(0), disturbed.living(1));
    disturbed.pass(Milliseconds{20});
    for (std::uint64_t id = 1; id <= 8; ++id) cluster.start(request(cluster.net.random(), id));
    ASSERT_TRUE(cluster.net.run_until([&] { return cluster.all_over(); }));
    expect_undisturbed(cluster);
    EXPECT_EQ(cluster.net.sends_failed, 0u);
  }
}

// P and D live, and everybody hears them but they each other: the lease ends. The other decode instance is there.
TEST(SimulatedFaults, avoids_the_pair_whose_control_link_is_broken_and_not_its_messenger) {
  const Case three{"three", HandOffMode::pull, {Role::prefill, Role::decode, Role::decode}, 0, 0, 0, 300};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedCluster cluster(seed, HandOffMode::pull);
    Disturbed disturbed(cluster, three);
    cluster.net.silent = {{disturbed.living(0), disturbed.living(1)}, {disturbed.living(1), disturbed.living(0)}};
    RequestSpec spec = long_request(seed, 40);
    spec.max_attempts = 2;
    cluster.start(spec);
    ASSERT_TRUE(cluster.net.run_until([&] { return cluster.all_over(); }));
    expect_undisturbed(cluster);
    EXPECT_LE(cluster.streams().at(spec.id).outcome->recoveries_decode, 1u);
  }
}

}  // namespace
}  // namespace baton::testing
