// Who gets a request, when nobody can take it, and what the scheduler believes of loads.
#include "runtime/cluster/scheduler_core.h"

#include <gtest/gtest.h>

#include "runtime/base/random.h"
#include "runtime/cluster/routing_registry.h"
#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

Hello hello(const std::string& name, Role role, std::uint32_t block_tokens = 16) {
  return {.self = instance(name), .name = name, .role = role, .kv = {.block_tokens = block_tokens}, .blocks_total = 1000};
}

class TestCluster {
 public:
  explicit TestCluster(SchedulerOptions options = {}) : core_(std::move(options)) {}

  void join(const std::string& name, Role role, std::uint32_t block_tokens = 16) {
    core_.on(InstanceJoined{hello(name, role, block_tokens)}, now);
    core_.check_invariants();
  }
  // A report newer than any before; `change` fills it in.
  template <class Change>
  void report(const std::string& name, Change change) {
    LoadReport report{.self = instance(name), .sequence = ++sequence_, .queue_capacity = 256, .blocks_total = 1000};
    change(report);
    core_.on(report, now);
    core_.check_invariants();
  }
  void idle(const std::string& name) { report(name, [](LoadReport&) {}); }
  // "P1>D1 pull", "M1 local" or the error's code.
  std::string assign(std::uint64_t request, std::uint32_t prompt = 100, const std::string& avoid = "", const std::string& gateway = "G") {
    AssignRequest message{.key = key(request, 1), .prompt_tokens = prompt, .max_output_tokens = 10, .time_left = Milliseconds{60'000}};
    for (const char name : avoid) message.avoid.push_back(instance(std::string(1, name)).id);
    const SchedulerCommands said = core_.on(instance(gateway), message, now);
    core_.check_invariants();
    if (said.size() != 1) return "?";
    if (const auto* refused = std::get_if<ReplyRefused>(&said[0])) {
      error = refused->message.error;
      return to_string(error.code);
    }
    const Assigned& to = std::get<ReplyAssigned>(said[0]).message;
    if (to.prefill == to.decode) return fmt::format("{} {}", name_of(to.prefill), to_string(to.mode));
    return fmt::format("{}>{} {}", name_of(to.prefill), name_of(to.decode), to_string(to.mode));
  }
  void ended(std::uint64_t request, const std::string& gateway = "G") {
    core_.on(instance(gateway), RequestEnded{key(request, 1)}, now);
    core_.check_invariants();
  }
  template <class Event>
  void on(const Event& event) { core_.on(event, now); core_.check_invariants(); }

  Instant now = at(1000);
  Error error;

 private:
  SchedulerCore core_;
  std::uint64_t sequence_ = 0;
};

TEST(Scheduler, pairs_prefill_with_decode_and_leaves_mixed_alone) {
  struct Case { std::string name; std::vector<std::pair<std::string, Role>> nodes; std::string said; };
  const std::vector<Case> cases = {
      {"nobody", {}, "unavailable"},
      {"prefill only", {{"P", Role::prefill}}, "unavailable"},
      {"decode only", {{"D", Role::decode}}, "unavailable"},
      {"one of each", {{"P", Role::prefill}, {"D", Role::decode}}, "P1>D1 pull"},
      {"mixed", {{"M", Role::mixed}}, "M1 local"},
      {"prefill and mixed, M is busy", {{"P", Role::prefill}, {"M", Role::mixed}}, "P1>M1 pull"},
      {"decode and mixed", {{"D", Role::decode}, {"M", Role::mixed}}, "M1 local"},
      {"a gateway is no instance", {{"G", Role::gateway}, {"S", Role::scheduler}}, "unavailable"},
  };
  for (const Case& c : cases) {
    TestCluster cluster;
    for (const auto& [name, role] : c.nodes) cluster.join(name, role);
    cluster.report("M", [](LoadReport& r) { r.pending_prefill_tokens = 5000; });
    EXPECT_EQ(cluster.assign(1), c.said) << c.name;
  }
}

TEST(Scheduler, hands_off_as_configured) {
  TestCluster cluster{{.hand_off = HandOffMode::push_by_layer}};
  cluster.join("P", Role::prefill);
  cluster.join("D", Role::decode);
  EXPECT_EQ(cluster.assign(1), "P1>D1 push_by_layer");
}

TEST(Scheduler, never_pairs_instances_whose_kv_differs) {
  TestCluster cluster;
  cluster.join("P", Role::prefill, 16);
  cluster.join("D", Role::decode, 32);
  EXPECT_EQ(cluster.assign(1), "unavailable");
  EXPECT_NE(cluster.error.message.find("shares its KV"), std::string::npos);
  cluster.join("Q", Role::prefill, 32);
  for (std::uint64_t i = 2; i < 6; ++i) EXPECT_EQ(cluster.assign(i), "Q1>D1 pull");
  cluster.join("E", Role::decode, 16);
  EXPECT_EQ(cluster.assign(9), "P1>E1 pull");
}

TEST(Scheduler, joins_the_shortest_queue_by_pending_tokens_and_counts_what_it_just_assigned) {
  TestCluster cluster;
  for (const char* name : {"P", "Q"}) cluster.join(name, Role::prefill);
  cluster.join("D", Role::decode);
  cluster.report("P", [](LoadReport& r) { r.pending_prefill_tokens = 250; });
  cluster.idle("Q");
  EXPECT_EQ(cluster.assign(1, 100), "Q1>D1 pull");
  EXPECT_EQ(cluster.assign(2, 100), "Q1>D1 pull");
  EXPECT_EQ(cluster.assign(3, 100), "Q1>D1 pull");
  EXPECT_EQ(cluster.assign(4, 100), "P1>D1 pull") << "250 are less than the 300 that Q has got since its report";
  cluster.ended(1);
  cluster.ended(2);
  EXPECT_EQ(cluster.assign(5, 100), "Q1>D1 pull") << "ended requests no longer count";
  cluster.now = cluster.now + Milliseconds{200};
  cluster.idle("P");
  cluster.report("Q", [](LoadReport& r) { r.pending_prefill_tokens = 1; });
  EXPECT_EQ(cluster.assign(6, 100), "P1>D1 pull") << "a later report has in it what was assigned before";
}

TEST(Scheduler, believes_a_decode_instance_to_owe_what_it_was_assigned_before_the_request_reaches_it) {
  TestCluster cluster;
  cluster.join("P", Role::prefill);
  for (const char* name : {"D", "E"}) cluster.join(name, Role::decode);
  EXPECT_EQ(cluster.assign(1, 1000), "P1>D1 pull");
  cluster.now = cluster.now + Milliseconds{900};
  for (const char* name : {"P", "D", "E"}) cluster.idle(name);       // still in prefill: D reports nothing
  EXPECT_EQ(cluster.assign(2, 100), "P1>E1 pull");
  EXPECT_EQ(cluster.assign(3, 100), "P1>E1 pull");
  cluster.ended(1);
  EXPECT_EQ(cluster.assign(4, 100), "P1>D1 pull");
}

TEST(Scheduler, prefers_instances_that_did_not_just_fail_the_request) {
  TestCluster cluster;
  for (const char* name : {"P", "Q"}) cluster.join(name, Role::prefill);
  for (const char* name : {"D", "E"}) cluster.join(name, Role::decode);
  EXPECT_EQ(cluster.assign(1, 100, "PD"), "Q1>E1 pull");
  EXPECT_EQ(cluster.assign(2, 100, "PDE"), "Q1>D1 pull") << "a preference, not a ban";
}

TEST(Scheduler, pairs_instances_that_cannot_reach_each_other_only_where_there_is_no_other_pair) {
  struct Case { const char* name; std::vector<std::pair<std::string, std::string>> apart; std::string avoid, said; };
  const std::vector<Case> cases = {
      {"P says so", {{"P", "D"}}, "", "P1>E1 pull"},
      {"D says so", {{"D", "P"}}, "", "P1>E1 pull"},
      {"P reaches nobody", {{"P", "D"}, {"P", "E"}}, "", "Q1>D1 pull"},
      {"nobody reaches P", {{"D", "P"}, {"E", "P"}}, "", "Q1>D1 pull"},
      {"nobody reaches anybody", {{"P", "D"}, {"P", "E"}, {"D", "Q"}, {"Q", "E"}}, "", "P1>D1 pull"},
      {"P reaches only whom the request avoids", {{"P", "D"}}, "E", "P1>E1 pull"},
      {"others are apart", {{"P", "Z"}, {"D", "Z"}}, "", "P1>D1 pull"},
  };
  for (const Case& c : cases) {
    TestCluster cluster;
    for (const char* name : {"P", "Q"}) cluster.join(name, Role::prefill);
    for (const char* name : {"D", "E"}) cluster.join(name, Role::decode);
    for (const char* name : {"P", "Q", "D", "E"}) {
      cluster.report(name, [&](LoadReport& r) {
        for (const auto& [from, to] : c.apart) if (from == name) r.unreachable.push_back(instance(to));
      });
    }
    EXPECT_EQ(cluster.assign(1, 100, c.avoid), c.said) << c.name;
  }
}

TEST(Scheduler, pairs_them_again_once_they_reach_each_other_and_leaves_a_mixed_one_to_itself) {
  TestCluster cluster;
  for (const char* name : {"P", "M"}) cluster.join(name, name[0] == 'P' ? Role::prefill : Role::mixed);
  cluster.report("P", [](LoadReport& r) { r.unreachable = {instance("M")}; });
  EXPECT_EQ(cluster.assign(1), "M1 local");
  cluster.report("M", [](LoadReport& r) { r.pending_prefill_tokens = 5000; });
  EXPECT_EQ(cluster.assign(2), "M1 local");
  cluster.idle("P");
  EXPECT_EQ(cluster.assign(3), "P1>M1 pull");
  cluster.report("P", [](LoadReport& r) { r.unreachable = {instance("M")}; });
  cluster.join("M2", Role::mixed);
  EXPECT_EQ(cluster.assign(4, 100), "M2 local");
  cluster.report("M2", [](LoadReport& r) { r.pending_prefill_tokens = 5000; });
  EXPECT_EQ(cluster.assign(5), "P1>M2 pull") << "another life of it";
}

TEST(Scheduler, refuses_a_full_cluster_with_a_time_to_come_back) {
  TestCluster cluster{{.max_waiting = 3}};
  cluster.join("P", Role::prefill);
  cluster.join("D", Role::decode);
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(cluster.assign(i), "P1>D1 pull") << "one runs, three wait";
  EXPECT_EQ(cluster.assign(4), "queue_full");
  EXPECT_GE(cluster.error.retry_after_s, 1u);
  cluster.ended(0);
  EXPECT_EQ(cluster.assign(5), "P1>D1 pull");
}

TEST(Scheduler, estimates_the_time_to_come_back_by_how_fast_requests_end) {
  TestCluster cluster{{.max_waiting = 800, .report_timeout = Milliseconds{1'000'000}}};
  cluster.join("P", Role::prefill);
  cluster.join("D", Role::decode);
  cluster.report("P", [](LoadReport& r) { r.waiting = 800; r.queue_capacity = 1000; });
  for (std::uint64_t i = 0; i < 100; ++i) {
    cluster.now = cluster.now + Milliseconds{100};
    cluster.ended(i);
  }
  EXPECT_EQ(cluster.assign(1), "queue_full");
  EXPECT_EQ(cluster.error.retry_after_s, 10u) << "an eighth of 800 at 10 a second";
}

TEST(Scheduler, passes_over_full_draining_and_silent_instances) {
  TestCluster cluster;
  for (const char* name : {"P", "Q"}) cluster.join(name, Role::prefill);
  for (const char* name : {"D", "E"}) cluster.join(name, Role::decode);
  cluster.report("P", [](LoadReport& r) { r.queue_capacity = 4; r.waiting = 4; });
  cluster.report("Q", [](LoadReport& r) { r.pending_prefill_tokens = 9999; });
  cluster.report("D", [](LoadReport& r) { r.draining = true; });
  EXPECT_EQ(cluster.assign(1), "Q1>E1 pull");
  cluster.report("Q", [](LoadReport& r) { r.queue_capacity = 4; r.waiting = 4; });
  EXPECT_EQ(cluster.assign(2), "queue_full");
  cluster.report("P", [](LoadReport& r) { r.queue_capacity = 4; });
  EXPECT_EQ(cluster.assign(3), "P1>E1 pull");
  cluster.now = cluster.now + Milliseconds{3001};
  EXPECT_EQ(cluster.assign(4), "unavailable") << "nobody was heard of";
  for (const char* name : {"P", "E"}) cluster.idle(name);
  EXPECT_EQ(cluster.assign(5), "P1>E1 pull");
}

TEST(Scheduler, answers_the_same_when_asked_again) {
  TestCluster cluster{{.routing = "round_robin"}};
  for (const char* name : {"P", "Q"}) cluster.join(name, Role::prefill);
  cluster.join("D", Role::decode);
  EXPECT_EQ(cluster.assign(1), "P1>D1 pull");
  EXPECT_EQ(cluster.assign(1), "P1>D1 pull");
  EXPECT_EQ(cluster.assign(2), "Q1>D1 pull");
  cluster.on(InstanceLeft{instance("P1")});
  EXPECT_EQ(cluster.assign(1), "Q1>D1 pull") << "but not with one that is gone";
}

// Membership says whose life it is; its order is all that counts, since a clock may be set back before a restart.
TEST(Scheduler, takes_the_life_of_an_instance_that_joined_last) {
  TestCluster cluster;
  cluster.join("P2", Role::prefill);
  cluster.join("D1", Role::decode);
  EXPECT_EQ(cluster.assign(1), "P2>D1 pull");
  cluster.join("P1", Role::prefill);
  EXPECT_EQ(cluster.assign(6), "P1>D1 pull");
  cluster.join("P3", Role::prefill);
  EXPECT_EQ(cluster.assign(2), "P3>D1 pull");
  cluster.on(InstanceLeft{instance("P2")});                           // late: P3 has replaced it
  EXPECT_EQ(cluster.assign(3), "P3>D1 pull");
  cluster.report("P2", [](LoadReport& r) { r.draining = true; });     // of another life
  EXPECT_EQ(cluster.assign(4), "P3>D1 pull");
  cluster.on(InstanceLeft{instance("P3")});
  EXPECT_EQ(cluster.assign(5), "unavailable");
}

TEST(Scheduler, ignores_a_report_older_than_the_last) {
  TestCluster cluster;
  cluster.join("P", Role::prefill);
  cluster.join("D", Role::decode);
  cluster.report("P", [](LoadReport& r) { r.sequence = 9; });
  cluster.report("P", [](LoadReport& r) { r.sequence = 8; r.draining = true; });
  EXPECT_EQ(cluster.assign(1), "P1>D1 pull");
}

TEST(Scheduler, forgets_the_requests_of_a_gateway_that_left_and_those_past_their_deadline) {
  for (const bool left : {true, false}) {
    TestCluster cluster{{.max_waiting = 2, .report_timeout = Milliseconds{1'000'000}}};
    cluster.join("P", Role::prefill);
    cluster.join("D", Role::decode);
    for (std::uint64_t i = 0; i < 3; ++i) EXPECT_EQ(cluster.assign(i), "P1>D1 pull");
    cluster.ended(0, "H");
    EXPECT_EQ(cluster.assign(3), "queue_full") << "another gateway cannot end it";
    if (left) cluster.on(GatewayLeft{instance("G")});
    else cluster.now = cluster.now + Milliseconds{60'000};
    EXPECT_EQ(cluster.assign(4), "P1>D1 pull");
  }
}

TEST(Scheduler, keeps_its_books_under_any_sequence_of_events) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random{seed};
    TestCluster cluster{{.routing = routing_names()[seed % routing_names().size()], .max_waiting = 50}};
    const Role roles[] = {Role::prefill, Role::decode, Role::mixed};
    for (int step = 0; step < 2000; ++step) {
      const std::string name(1, static_cast<char>('A' + random.below(9)));
      const std::string life = fmt::format("{}{}", name, 1 + random.below(3));
      cluster.now = cluster.now + Milliseconds{random.below(20)};
      switch (random.below(8)) {
        case 0: cluster.join(life, roles[name[0] % 3], name[0] % 2 == 0 ? 16 : 32); break;
        case 1: if (random.below(4) == 0) cluster.on(InstanceLeft{instance(life)}); break;
        case 2: cluster.report(life, [&](LoadReport& r) { r.waiting = static_cast<std::uint32_t>(random.below(9)); }); break;
        case 3: if (random.below(30) == 0) cluster.on(GatewayLeft{instance("G")}); break;
        case 4: cluster.ended(random.below(200)); break;
        default: EXPECT_NE(cluster.assign(random.below(200), static_cast<std::uint32_t>(random.below(3000))), "?");
      }
    }
  }
}

}  // namespace
}  // namespace baton
