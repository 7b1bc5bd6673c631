#include "runtime/sim/compat/splitwise_cluster.h"

#include <gtest/gtest.h>

#include "tests/runtime/sim/compat/splitwise_helpers.h"

namespace baton::test::splitwise {
namespace {

using namespace sim::splitwise;

ClusterWords uniform(const std::string& start_state, const std::string& scheduler, const std::string& machines) {
  return {"bloom-176b", start_state, scheduler, "", "", machines};
}
ClusterWords split(const std::string& scheduler, const std::string& prompt, const std::string& token) {
  return {"bloom-176b", "splitwise", scheduler, prompt, token, ""};
}

std::string names(const ClusterWords& words) {
  std::string names;
  for (const MachineSpec& machine : cluster_of(words).machines) {
    names += (names.empty() ? "" : " ") + machine.name + (machine.tag == Tag::prompt ? "p" : machine.tag == Tag::token ? "t" : "");
  }
  return names;
}

TEST(SplitwiseCluster, numbers_machines_as_the_source_does) {
  EXPECT_EQ(names(split("mixed_pool", "h100-80gb:2", "h100-80gb:1")), "h100-80gb_0p h100-80gb_1p h100-80gb_2t");
  EXPECT_EQ(names(split("mixed_pool", "h100-80gb:1", "a100-80gb:2")), "a100-80gb_0t a100-80gb_1t h100-80gb_2p");
  EXPECT_EQ(names(split("mixed_pool", "h100-80gb:1", "h100-80gb-pcap:1")), "h100-80gb-pcap_0t h100-80gb_1p");
  EXPECT_EQ(names({"llama2-70b", "splitwise_hhcap", "kv_jsq", "h100-80gb:1", "h100-80gb-pcap:1", ""}), "h100-80gb-pcap_0t h100-80gb_1p");
  EXPECT_EQ(names(uniform("baseline", "jsq", "h100-80gb:1,a100-80gb:2")), "a100-80gb_0 a100-80gb_1 h100-80gb_2");
  EXPECT_EQ(names(uniform("orca", "round_robin", "h100-80gb-pcap:1")), "h100-80gb-pcap_0");
}

std::string refusal(const ClusterWords& words) {
  const auto cluster = make_cluster(words);
  return cluster.ok() ? "accepted" : cluster.error().message;
}

TEST(SplitwiseCluster, names_the_nearest_word_for_one_it_does_not_know) {
  EXPECT_EQ(refusal({"bloom", "baseline", "jsq", "", "", "h100-80gb:2"}),
            "--model bloom was not measured by Splitwise's authors; did you mean \"bloom-176b\"?");
  EXPECT_EQ(refusal(uniform("splitwize", "jsq", "h100-80gb:2")), "--start-state splitwize is not known; did you mean \"splitwise\"?");
  EXPECT_EQ(refusal(uniform("", "jsq", "")), "--start-state is missing; one of baseline, orca, splitwise, splitwise_hhcap");
  EXPECT_EQ(refusal(uniform("baseline", "token_jqs", "h100-80gb:2")),
            "--scheduler token_jqs is none of the authors'; did you mean \"token_jsq\"?");
  EXPECT_EQ(refusal(uniform("baseline", "", "h100-80gb:2")),
            "--scheduler is missing; one of round_robin, jsq, token_jsq, kv_round_robin, kv_round_robin_ethernet, kv_jsq, overlap_kv_jsq, "
            "mixed_pool");
  EXPECT_EQ(refusal(uniform("baseline", "jsq", "h100-80g:2")),
            "--machines h100-80g:2: no GPU h100-80g was measured; did you mean \"h100-80gb\"?");
}

TEST(SplitwiseCluster, says_why_a_scheduler_cannot_be_used) {
  EXPECT_EQ(refusal(uniform("baseline", "random", "h100-80gb:2")),
            "--scheduler random: the authors draw it from an unseeded generator, so no run can be compared with another; use "
            "round_robin or jsq");
  for (const std::string scheduler : {"kv_token_jsq", "overlap_kv_token_jsq"}) {
    EXPECT_EQ(refusal(split(scheduler, "h100-80gb:1", "h100-80gb:1")),
              "--scheduler " + scheduler + ": the authors' code never raises the counter that it compares, so every request goes to one "
                                           "prompt and one token machine; use kv_jsq or mixed_pool");
  }
  EXPECT_EQ(refusal(uniform("baseline", "mixed_pool", "h100-80gb:2")),
            "--scheduler mixed_pool needs prompt and token machines: use --start-state splitwise, or token_jsq");
}

TEST(SplitwiseCluster, wants_a_count_of_each_gpu) {
  EXPECT_EQ(refusal(uniform("baseline", "jsq", "h100-80gb")), "--machines h100-80gb: how many? write GPU:COUNT, such as h100-80gb:2");
  for (const std::string machines : {"h100-80gb:0", "h100-80gb:-1", "h100-80gb:2x", "h100-80gb:", "h100-80gb:99999999999"}) {
    EXPECT_EQ(refusal(uniform("baseline", "jsq", machines)),
              "--machines " + machines + ": a count is a whole number from 1 to 10000, as in h100-80gb:2");
  }
  EXPECT_NE(refusal(uniform("baseline", "jsq", "h100-80gb:2,")), "accepted");
  EXPECT_EQ(refusal(uniform("baseline", "jsq", "")), "--machines is missing: GPU:COUNT, such as h100-80gb:2");
  EXPECT_EQ(refusal(split("jsq", "h100-80gb:2", "")), "--token is missing: GPU:COUNT, such as h100-80gb:1");
}

TEST(SplitwiseCluster, refuses_machines_that_the_start_state_has_not) {
  EXPECT_EQ(refusal(uniform("splitwise", "jsq", "h100-80gb:2")),
            "--start-state splitwise has prompt and token machines: give them with --prompt and --token, not --machines; or use "
            "--start-state baseline");
  EXPECT_EQ(refusal({"bloom-176b", "orca", "jsq", "h100-80gb:2", "h100-80gb:2", ""}),
            "--start-state orca has machines of one role: give them with --machines, not --prompt and --token; or use --start-state "
            "splitwise");
  EXPECT_EQ(refusal({"bloom-176b", "splitwise_hhcap", "jsq", "h100-80gb:2", "h100-80gb:2", ""}),
            "--token h100-80gb:2: token machines of splitwise_hhcap are h100-80gb-pcap");
}

}  // namespace
}  // namespace baton::test::splitwise
