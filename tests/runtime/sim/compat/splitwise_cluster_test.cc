#include "runtime/sim/compat/splitwise_cluster.h"

#include <gtest/gtest.h>

#include "tests/runtime/sim/compat/splitwise_helpers.h"

namespace baton::test {
namespace {

using namespace sim::splitwise;

std::string names(const ClusterWords& words) {
  std::string names;
  for (const MachineSpec& machine : cluster_of(words).machines) {
    names += (names.empty() ? "" : " ") + machine.name + (machine.tag == Tag::prompt ? "p" : machine.tag == Tag::token ? "t" : "");
  }
  return names;
}

TEST(SplitwiseCluster, numbers_machines_as_the_source_does) {
  const auto split = [](const char* prompt, const char* token) {
    return names({"bloom-176b", "splitwise", "mixed_pool", prompt, token, ""});
  };
  EXPECT_EQ(split("h100-80gb:2", "h100-80gb:1"), "h100-80gb_0p h100-80gb_1p h100-80gb_2t");
  EXPECT_EQ(split("h100-80gb:1", "a100-80gb:2"), "a100-80gb_0t a100-80gb_1t h100-80gb_2p");
  EXPECT_EQ(split("h100-80gb:1", "h100-80gb-pcap:1"), "h100-80gb-pcap_0t h100-80gb_1p");
  EXPECT_EQ(names({"bloom-176b", "splitwise_hhcap", "mixed_pool", "h100-80gb:1", "h100-80gb-pcap:1", ""}), "h100-80gb-pcap_0t h100-80gb_1p");
  EXPECT_EQ(names({"llama2-70b", "baseline", "jsq", "", "", "h100-80gb:1,a100-80gb:2"}), "a100-80gb_0 a100-80gb_1 h100-80gb_2");
  EXPECT_EQ(names({"llama2-70b", "orca", "round_robin", "", "", "h100-80gb-pcap:1"}), "h100-80gb-pcap_0");
}

struct Refusal {
  ClusterWords words;
  std::string message;
};

TEST(SplitwiseCluster, says_what_to_write_instead) {
  const std::string herding = "the authors' code never raises the counter that it compares, so every request goes to one prompt and one "
                              "token machine; use kv_jsq or mixed_pool";
  const std::vector<Refusal> cases = {
      {{"bloom", "baseline", "jsq", "", "", "h100-80gb:2"}, "--model bloom was not measured by Splitwise's authors; did you mean \"bloom-176b\"?"},
      {{"bloom-176b", "splitwize", "jsq", "", "", "h100-80gb:2"}, "--start-state splitwize is not known; did you mean \"splitwise\"?"},
      {{"bloom-176b", "", "jsq", "", "", ""}, "--start-state is missing; one of baseline, orca, splitwise, splitwise_hhcap"},
      {{"bloom-176b", "baseline", "token_jqs", "", "", "h100-80gb:2"}, "--scheduler token_jqs is none of the authors'; did you mean \"token_jsq\"?"},
      {{"bloom-176b", "baseline", "", "", "", "h100-80gb:2"},
       "--scheduler is missing; one of round_robin, jsq, token_jsq, kv_round_robin, kv_round_robin_ethernet, kv_jsq, overlap_kv_jsq, mixed_pool"},
      {{"bloom-176b", "baseline", "random", "", "", "h100-80gb:2"},
       "--scheduler random: the authors draw it from an unseeded generator, so no run can be compared with another; use round_robin or jsq"},
      {{"bloom-176b", "splitwise", "kv_token_jsq", "h100-80gb:1", "h100-80gb:1", ""}, "--scheduler kv_token_jsq: " + herding},
      {{"bloom-176b", "splitwise", "overlap_kv_token_jsq", "h100-80gb:1", "h100-80gb:1", ""}, "--scheduler overlap_kv_token_jsq: " + herding},
      {{"bloom-176b", "baseline", "mixed_pool", "", "", "h100-80gb:2"},
       "--scheduler mixed_pool needs prompt and token machines: use --start-state splitwise, or token_jsq"},
      {{"bloom-176b", "baseline", "jsq", "", "", "h100-80g:2"}, "--machines h100-80g:2: no GPU h100-80g was measured; did you mean \"h100-80gb\"?"},
      {{"bloom-176b", "baseline", "jsq", "", "", "h100-80gb"}, "--machines h100-80gb: how many? write GPU:COUNT, such as h100-80gb:2"},
      {{"bloom-176b", "baseline", "jsq", "", "", "h100-80gb:0"}, "--machines h100-80gb:0: a count is a whole number from 1 to 10000, as in h100-80gb:2"},
      {{"bloom-176b", "baseline", "jsq", "", "", "h100-80gb:2x"}, "--machines h100-80gb:2x: a count is a whole number from 1 to 10000, as in h100-80gb:2"},
      {{"bloom-176b", "baseline", "jsq", "", "", "h100-80gb:-1"}, "--machines h100-80gb:-1: a count is a whole number from 1 to 10000, as in h100-80gb:2"},
      {{"bloom-176b", "baseline", "jsq", "", "", ""}, "--machines is missing: GPU:COUNT, such as h100-80gb:2"},
      {{"bloom-176b", "splitwise", "jsq", "h100-80gb:2", "", ""}, "--token is missing: GPU:COUNT, such as h100-80gb:1"},
      {{"bloom-176b", "splitwise", "jsq", "h100-80gb:99999999999", "h100-80gb:1", ""},
       "--prompt h100-80gb:99999999999: a count is a whole number from 1 to 10000, as in h100-80gb:2"},
      {{"bloom-176b", "splitwise", "jsq", "", "", "h100-80gb:2"},
       "--start-state splitwise has prompt and token machines: give them with --prompt and --token, not --machines; or use --start-state baseline"},
      {{"bloom-176b", "orca", "jsq", "h100-80gb:2", "h100-80gb:2", ""},
       "--start-state orca has machines of one role: give them with --machines, not --prompt and --token; or use --start-state splitwise"},
      {{"bloom-176b", "splitwise_hhcap", "jsq", "h100-80gb:2", "h100-80gb:2", ""}, "--token h100-80gb:2: token machines of splitwise_hhcap are h100-80gb-pcap"},
  };
  for (const Refusal& refusal : cases) {
    const auto cluster = make_cluster(refusal.words);
    ASSERT_FALSE(cluster.ok()) << refusal.message;
    EXPECT_EQ(cluster.error().message, refusal.message);
  }
}

}  // namespace
}  // namespace baton::test
