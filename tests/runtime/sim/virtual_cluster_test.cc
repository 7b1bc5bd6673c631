// A simulated cluster, with step times and links of round numbers: what it says is worked out by hand.
#include "runtime/sim/virtual_cluster.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "runtime/cluster/routing_registry.h"
#include "runtime/sim/workload.h"

namespace baton::test {
namespace {

using namespace sim;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;

constexpr Duration kMessage = Milliseconds{1}, kLink = Milliseconds{2};
constexpr Duration kDecodeStep = Milliseconds{10};

// A millisecond for each token of a prompt, 10 for a step of decodes.
class RoundSteps final : public StepModel {
 public:
  Duration step_time(std::span<const StepSpan> sequences) const override {
    Duration takes{};
    for (const StepSpan& s : sequences) takes += s.decodes() ? Duration{} : Milliseconds{s.new_tokens};
    return std::max<Duration>(takes, kDecodeStep);
  }
};

VirtualGroup group(Role role, std::uint32_t count, std::uint64_t kv_tokens = 16000) {
  return {role, count, {std::make_shared<RoundSteps>(), {1, 1}, 4, 1000, kv_tokens}};
}

// A token of KV takes a millisecond of a link.
VirtualOptions options(std::vector<VirtualGroup> groups) {
  VirtualOptions all;
  all.groups = std::move(groups);
  all.control_latency = kMessage;
  all.link_latency = kLink;
  all.link_bytes_per_s = 1'000'000;
  all.check_invariants = true;
  return all;
}

VirtualOptions split(std::uint32_t prefills, std::uint32_t decodes) {
  return options({group(Role::prefill, prefills), group(Role::decode, decodes)});
}

TraceRequest request(double arrival_s, std::uint32_t prompt, std::uint32_t output) { return {"", arrival_s, prompt, output, {}}; }

VirtualRun run(const VirtualOptions& cluster, const Trace& trace) {
  auto result = simulate(cluster, trace);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? std::move(result).value() : VirtualRun{};
}

Duration ttft(const VirtualRequest& r) { return r.first_token - r.arrival; }

void expect_nothing_leaked(const VirtualRun& result) {
  EXPECT_THAT(result.instances, Each(Field(&VirtualInstanceUse::blocks_used, 0u)));
}

// Asked, assigned, sent to the instance, and the token back: four messages and a step.
TEST(VirtualCluster, gives_a_request_alone_its_first_token_after_its_step_and_four_messages) {
  for (const auto& cluster : {split(1, 1), options({group(Role::mixed, 1)})}) {
    const VirtualRun result = run(cluster, {request(5, 100, 1)});
    EXPECT_EQ(ttft(result.requests[0]), 4 * kMessage + Milliseconds{100});
    EXPECT_EQ(result.requests[0].tokens, 1u);
    expect_nothing_leaked(result);
  }
}

// After the first token: the decode request goes out (the offer is there before it), the grant goes back, the KV comes, then steps.
TEST(VirtualCluster, pulls_the_kv_before_it_decodes) {
  const VirtualRun result = run(split(1, 1), {request(0, 100, 4)});
  const VirtualRequest& r = result.requests[0];
  EXPECT_EQ(r.last_token - r.first_token, kMessage + kMessage + Milliseconds{100} + kLink + 3 * kDecodeStep + kMessage);
  EXPECT_EQ(r.tokens, 4u);
  EXPECT_EQ(result.kv_bytes_moved, 100'000);
  EXPECT_EQ(result.transfers, 1u);
  EXPECT_EQ(result.transferring, Milliseconds{100} + kLink);
  EXPECT_EQ(result.instances[1].busy, 3 * kDecodeStep);
  expect_nothing_leaked(result);
}

// Five chunks of 20 tokens; the grant is there before the second, and a token moves in a tenth of a millisecond. What is left after the
// last chunk is a quarter of its own tokens: the last of four layers.
TEST(VirtualCluster, hides_all_but_the_last_layer_behind_the_prompt_when_it_pushes) {
  VirtualOptions cluster = split(1, 1);
  cluster.hand_off = HandOffMode::push_by_layer;
  cluster.chunk_tokens = 20;
  cluster.link_bytes_per_s = 10'000'000;
  const VirtualRun result = run(cluster, {request(0, 100, 4)});
  const VirtualRequest& r = result.requests[0];
  EXPECT_EQ(ttft(r), 4 * kMessage + Milliseconds{100});
  EXPECT_EQ(r.last_token - r.first_token, std::chrono::microseconds{500} + kLink + 3 * kDecodeStep);
  EXPECT_EQ(result.kv_bytes_moved, 100'000);
  expect_nothing_leaked(result);
}

TEST(VirtualCluster, moves_nothing_from_a_mixed_instance) {
  const VirtualRun result = run(options({group(Role::mixed, 1)}), {request(0, 100, 4)});
  EXPECT_EQ(result.requests[0].last_token - result.requests[0].first_token, 3 * kDecodeStep);
  EXPECT_EQ(result.kv_bytes_moved, 0);
  expect_nothing_leaked(result);
}

TEST(VirtualCluster, sends_two_requests_to_two_instances_in_turn) {
  VirtualOptions cluster = split(2, 2);
  cluster.routing = "round_robin";
  const VirtualRun result = run(cluster, {request(0, 100, 4), request(0, 100, 4)});
  EXPECT_EQ(result.instances[result.requests[0].prefill].name, "prefill_0");
  EXPECT_EQ(result.instances[result.requests[0].decode].name, "decode_0");
  EXPECT_EQ(result.instances[result.requests[1].prefill].name, "prefill_1");
  EXPECT_EQ(result.instances[result.requests[1].decode].name, "decode_1");
  EXPECT_EQ(ttft(result.requests[0]), ttft(result.requests[1]));
}

// Two prefills into one decode instance share its ingress: both take twice as long as one. They land together; the first starts a
// step, which the second has to await.
TEST(VirtualCluster, makes_two_transfers_into_one_instance_share_its_link) {
  VirtualOptions cluster = split(2, 1);
  cluster.routing = "round_robin";
  const VirtualRun result = run(cluster, {request(0, 100, 2), request(0, 100, 2)});
  const auto decoding = [&](int i) { return result.requests[i].last_token - result.requests[i].first_token; };
  EXPECT_EQ(decoding(0), 2 * kMessage + Milliseconds{200} + kLink + kDecodeStep + kMessage);
  EXPECT_EQ(decoding(1), decoding(0) + kDecodeStep);
  EXPECT_EQ(result.transferring, 2 * (Milliseconds{200} + kLink));
}

// Room for one of the two: the second is granted when the first has ended.
TEST(VirtualCluster, holds_a_hand_off_back_until_the_decode_instance_has_room) {
  const VirtualRun result = run(options({group(Role::prefill, 1), group(Role::decode, 1, 256)}),
                                {request(0, 200, 4), request(0, 200, 4)});
  const auto& [first, second] = std::pair{result.requests[0], result.requests[1]};
  EXPECT_GT(second.last_token, first.last_token + Milliseconds{200});
  EXPECT_THAT(result.requests, Each(Field(&VirtualRequest::error, std::nullopt)));
  expect_nothing_leaked(result);
}

TEST(VirtualCluster, says_why_a_request_did_not_complete) {
  const VirtualRun result = run(options({group(Role::mixed, 1, 160)}), {request(0, 100, 4), request(1, 100, 200)});
  EXPECT_EQ(result.requests[0].error, std::nullopt);
  EXPECT_EQ(result.requests[1].error, ErrorCode::invalid_argument);
  EXPECT_EQ(result.requests[1].tokens, 0u);
}

TEST(VirtualCluster, computes_a_prompt_that_another_has_begun_only_once) {
  Trace trace = {request(0, 1024, 1), request(10, 1040, 1)};
  trace[0].blocks = {7, 8};
  trace[1].blocks = {7, 8, 9};
  const VirtualRun result = run(options({group(Role::mixed, 1)}), trace);
  EXPECT_EQ(ttft(result.requests[0]), 4 * kMessage + Milliseconds{1024});
  EXPECT_EQ(ttft(result.requests[1]), 4 * kMessage + Milliseconds{16});
  EXPECT_EQ(result.instances[0].stats.prompt_tokens_cached, 1024u);
}

TEST(VirtualCluster, does_the_same_every_time_and_leaks_nothing) {
  const auto workload = load_workload("azure_code");
  ASSERT_TRUE(workload.ok());
  const auto trace = generate(*workload, 8, 200, 3);
  ASSERT_TRUE(trace.ok());
  const auto profile = load_instance_profile("distserve/opt-13b", std::nullopt);
  ASSERT_TRUE(profile.ok());
  for (const HandOffMode mode : {HandOffMode::pull, HandOffMode::push_by_layer}) {
    VirtualOptions cluster;
    cluster.groups = {{Role::prefill, 2, *profile}, {Role::decode, 2, *profile}, {Role::mixed, 1, *profile}};
    cluster.routing = "power_of_two";
    cluster.hand_off = mode;
    cluster.check_invariants = true;
    const VirtualRun once = run(cluster, *trace), again = run(cluster, *trace);
    EXPECT_EQ(once.events, again.events);
    for (std::size_t i = 0; i < trace->size(); ++i) {
      const VirtualRequest& a = once.requests[i];
      const VirtualRequest& b = again.requests[i];
      EXPECT_EQ(std::tie(a.first_token, a.last_token, a.prefill, a.decode), std::tie(b.first_token, b.last_token, b.prefill, b.decode));
      EXPECT_EQ(a.error, std::nullopt) << i;
      EXPECT_EQ(a.tokens, (*trace)[i].output_tokens);
    }
    expect_nothing_leaked(once);
  }
}

// The last of the candidates, which none of the built-in policies would choose on an idle cluster.
class LastOfAll final : public RoutingPolicy {
 public:
  std::uint32_t choose(const RoutingQuestion& question, Random&) override { return question.candidates.back(); }
};

TEST(VirtualCluster, routes_by_the_policies_of_production) {
  ASSERT_TRUE(register_routing("last_of_all", [] { return std::make_unique<LastOfAll>(); }).ok());
  VirtualOptions cluster = split(3, 2);
  const auto went = [&](const std::string& routing) {
    cluster.routing = routing;
    const VirtualRequest r = run(cluster, {request(0, 100, 4)}).requests[0];
    return std::pair{r.prefill, r.decode};
  };
  EXPECT_EQ(went("jsq"), std::pair(0u, 3u));
  EXPECT_EQ(went("last_of_all"), std::pair(2u, 4u));
}

TEST(VirtualCluster, refuses_what_cannot_be_simulated) {
  struct Case {
    const char* says;
    VirtualOptions cluster;
    Trace trace;
  };
  const Trace one = {request(0, 100, 4)};
  VirtualOptions misspelt = split(1, 1);
  misspelt.routing = "round_robbin";
  const std::vector<Case> cases = {
      {"nobody runs prompts", options({group(Role::decode, 1)}), one},
      {"nobody generates tokens", split(1, 0), one},
      {"no room for KV", options({group(Role::mixed, 1, 8)}), one},
      {"did you mean \"round_robin\"?", misspelt, one},
      {"holds no request", split(1, 1), {}},
      {"sort the trace", split(1, 1), {request(1, 1, 1), request(0, 1, 1)}},
      {"leave it out", split(1, 1), {request(0, 1'000'000'000, 1)}},
      {"cut it", split(1, 1), {request(0, 1, 1), request(2e9, 1, 1)}},
  };
  for (const Case& c : cases) {
    const auto refused = simulate(c.cluster, c.trace);
    ASSERT_FALSE(refused.ok()) << c.says;
    EXPECT_NE(refused.error().message.find(c.says), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace baton::test
