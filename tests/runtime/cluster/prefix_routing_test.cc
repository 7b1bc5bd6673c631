// Prompts that begin alike go where that beginning is, unless others are served there for longer than it saves.
#include "runtime/cluster/prefix_routing.h"

#include <gtest/gtest.h>

#include "runtime/cluster/scheduler_core.h"
#include "runtime/kv/prefix_identity.h"
#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

// Of a prompt of 1000 tokens: the names of its first 100, 200, ...; what is pending at the instances 1, 2, ...; who gets it.
struct Ask {
  std::vector<std::uint64_t> names;            // as many as are known of it
  std::vector<std::uint64_t> pending;          // at the instances 1, 2, ...
  std::uint64_t chosen;
};

TEST(PrefixRouting, weighs_the_tokens_of_the_longest_known_beginning_against_the_queue) {
  const std::vector<std::uint64_t> a = {1, 2, 3}, b = {1, 2, 9}, c = {7, 8, 9};
  const std::vector<std::vector<Ask>> stories = {
      {{a, {0, 0, 0}, 1}, {b, {0, 0, 0}, 1}, {c, {0, 0, 0}, 1}},
      {{a, {5, 0, 0}, 2}, {a, {0, 0, 0}, 2}, {a, {0, 300, 0}, 2}, {a, {0, 301, 0}, 1}, {a, {0, 0, 0}, 1}},
      {{a, {5, 0, 9}, 2}, {b, {0, 200, 0}, 2}, {b, {0, 501, 300}, 1}, {b, {300, 200, 0}, 2}},
      {{a, {5, 0, 9}, 2}, {c, {0, 0, 0}, 1}, {{}, {9, 9, 8}, 3}, {{1}, {0, 101, 0}, 1}},
  };
  for (std::size_t story = 0; story < stories.size(); ++story) {
    const auto policy = make_prefix_aware();
    Random random{1};
    for (std::size_t i = 0; i < stories[story].size(); ++i) {
      const Ask& ask = stories[story][i];
      std::vector<InstanceLoad> loads;
      for (const std::uint64_t pending : ask.pending) loads.push_back({.id = InstanceId{loads.size() + 1}, .pending_tokens = pending});
      const std::vector<std::uint32_t> all = {0, 1, 2};
      const RoutingQuestion question{.prompt_tokens = 1000, .loads = loads, .candidates = all, .prefix = ask.names, .prefix_stride = 100};
      EXPECT_EQ(loads[policy->choose(question, random)].id, InstanceId{ask.chosen}) << "story " << story << ", prompt " << i;
    }
  }
}

TEST(PrefixRouting, chooses_decode_instances_by_their_queue_and_does_not_learn_from_it) {
  const auto policy = make_prefix_aware();
  Random random{1};
  const std::vector<std::uint64_t> names = {1, 2, 3};
  const std::vector<std::uint32_t> all = {0, 1};
  const auto ask = [&](Part part, std::uint64_t first, std::uint64_t second) {
    const std::vector<InstanceLoad> loads = {{.id = InstanceId{1}, .pending_tokens = first},
                                             {.id = InstanceId{2}, .pending_tokens = second}};
    return policy->choose({.part = part, .prompt_tokens = 400, .loads = loads, .candidates = all, .prefix = names, .prefix_stride = 100},
                          random);
  };
  EXPECT_EQ(ask(Part::decode, 1, 0), 1u);
  EXPECT_EQ(ask(Part::prefill, 0, 0), 0u);
  EXPECT_EQ(ask(Part::decode, 1, 0), 1u);
  EXPECT_EQ(ask(Part::prefill, 300, 0), 0u);
}

TEST(PrefixRouting, remembers_no_more_than_it_may_and_the_newest_longest) {
  PrefixMemory memory{100};
  for (std::uint64_t name = 0; name < 1000; ++name) {
    memory.remember(std::vector<std::uint64_t>{7'777, name}, InstanceId{name % 6});
    EXPECT_LE(memory.size(), 100u);
    EXPECT_EQ(memory.holders(name).size(), 1u);
  }
  const auto holders = memory.holders(7'777);
  EXPECT_EQ((std::vector<InstanceId>{holders.begin(), holders.end()}),
            (std::vector<InstanceId>{InstanceId{3}, InstanceId{2}, InstanceId{1}, InstanceId{0}}));
  EXPECT_EQ(memory.holders(990).front(), InstanceId{0});
  EXPECT_TRUE(memory.holders(100).empty());
  for (std::uint64_t id = 0; id < 6; ++id) memory.forget(InstanceId{id});
  EXPECT_EQ(memory.size(), 0u);
}

// The scheduler's own: prompts of whole words, each of which is 64 equal tokens.
class WordCluster {
 public:
  WordCluster() {
    for (const char* name : {"P", "Q"}) join(name);
    core_.on(InstanceJoined{{.self = instance("D"), .role = Role::decode, .blocks_total = 1000}}, at(0));
  }
  void join(const std::string& name) {
    core_.on(InstanceJoined{{.self = instance(name), .role = Role::prefill, .blocks_total = 1000}}, at(0));
  }
  void left(const std::string& name) { core_.on(InstanceLeft{instance(name)}, at(0)); }
  // The prefill instance that gets it; the request ends at once unless it stays.
  std::string ask(const std::string& words, bool stays = false) {
    std::vector<TokenId> tokens;
    for (const char word : words) tokens.insert(tokens.end(), 64, word);
    RequestSpec spec{.id = RequestId{++requests_ * 128}, .gateway = instance("G"), .prompt = tokens};
    RequestCore request{spec, std::make_shared<LetterTokenizer>()};
    std::string to = "?";
    for (const RequestCommand& command : request.on(StartRequest{}, at(0))) {
      const auto* assign = std::get_if<SendAssign>(&command);
      if (assign == nullptr) continue;
      const SchedulerCommands said = core_.on(instance("G"), assign->message, at(0));
      to = name_of(std::get<ReplyAssigned>(said.at(0)).message.prefill);
      if (!stays) core_.on(instance("G"), RequestEnded{assign->message.key}, at(0));
    }
    core_.check_invariants();
    return to;
  }

 private:
  SchedulerCore core_{{.routing = "prefix_aware"}};
  std::uint64_t requests_ = 0;
};

TEST(PrefixRouting, sends_repeats_of_a_prompt_to_the_same_instance_until_its_queue_is_longer_than_what_it_saves) {
  WordCluster cluster;
  EXPECT_EQ(cluster.ask("xxxxxxxxxx", true), "P1");
  EXPECT_EQ(cluster.ask("abcd"), "Q1");
  EXPECT_EQ(cluster.ask("abcd"), "Q1");
  EXPECT_EQ(cluster.ask("abcde"), "Q1");
  EXPECT_EQ(cluster.ask("abxy", true), "Q1");
  EXPECT_EQ(cluster.ask("xxxxxxxxxxy"), "P1") << "640 tokens wait there, and are saved; 256 wait at the other";
  EXPECT_EQ(cluster.ask("efghijkl", true), "Q1");
  EXPECT_EQ(cluster.ask("abcd"), "Q1") << "768 wait there and 640 at P: 256 are saved";
  EXPECT_EQ(cluster.ask("az"), "P1") << "64 are saved";
}

TEST(PrefixRouting, forgets_what_an_instance_had_when_it_goes_or_comes_again) {
  for (const bool goes : {true, false}) {
    WordCluster cluster;
    EXPECT_EQ(cluster.ask("zz", true), "P1");
    EXPECT_EQ(cluster.ask("abcd"), "Q1");
    EXPECT_EQ(cluster.ask("abcd", true), "Q1");
    if (goes) cluster.left("Q");
    cluster.join("Q2");
    EXPECT_EQ(cluster.ask("abcd", true), "Q2") << "as the queue says";
    EXPECT_EQ(cluster.ask("z"), "P1");
    EXPECT_EQ(cluster.ask("abcd"), "Q2");
  }
}

}  // namespace
}  // namespace baton
