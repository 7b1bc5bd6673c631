// Who dials whom, whose hello is taken, and that all nodes agree in the end whatever starts, dies or is cut off, in any order.
#include "runtime/cluster/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

const std::vector<ExpectedNode> kNodes = {{"g", Role::gateway, "h:1"}, {"s", Role::scheduler, "h:2"}, {"p", Role::prefill, "h:3"},
                                          {"q", Role::prefill, "h:4"}, {"d", Role::decode, "h:5"},    {"m", Role::mixed, "h:6"}};

Hello hello(const std::string& name, std::uint64_t incarnation = 1) {
  Role role = Role::mixed;
  for (const ExpectedNode& node : kNodes) role = node.name == name ? node.role : role;
  Hello made{.self = {InstanceId{static_cast<std::uint64_t>(name[0])}, Incarnation{incarnation}}, .name = name, .role = role};
  made.ucx_major = is_instance(role) ? 1 : 0;
  made.ucx_minor = is_instance(role) ? 13 : 0;
  made.model = role == Role::scheduler ? "" : "tiny";
  made.kv.model_fingerprint = role == Role::scheduler ? 0 : 7;
  return made;
}

struct MembershipText {
  std::string operator()(const Connect& c) const { return fmt::format("connect {} {} #{}", c.name, c.address, c.link); }
  std::string operator()(const SayHello& c) const { return fmt::format("hello {} #{}", c.name, c.link); }
  std::string operator()(const AnswerHello& c) const { return fmt::format("answer {} #{}", c.name, c.link); }
  std::string operator()(const RefuseHello& c) const { return fmt::format("refuse {}", c.name); }
  std::string operator()(const AdmitPeer& c) const {
    return fmt::format("admit {}{} #{}", c.hello.name, c.hello.self.incarnation.value, c.link);
  }
  std::string operator()(const LosePeer& c) const {
    return fmt::format("lose {}{} #{}", c.hello.name, c.hello.self.incarnation.value, c.link);
  }
  std::string operator()(const ReportRefused& c) const { return fmt::format("report {}", c.name); }
  std::string operator()(const SayGoodbye& c) const { return fmt::format("goodbye {}", c.name); }
  std::string operator()(const CloseLink& c) const { return fmt::format("close {} #{}", c.name, c.link); }
  std::string operator()(const SetMembershipTimer&) const { return {}; }
};

class TestNode {
 public:
  explicit TestNode(const std::string& name, std::vector<ExpectedNode> nodes = kNodes, std::uint64_t incarnation = 1)
      : core_({.self = hello(name, incarnation), .nodes = std::move(nodes)}) {}
  template <class Event>
  Lines on(const Event& event, Instant now = at(0)) {
    Lines all;
    for (const MembershipCommand& command : core_.on(event, now)) {
      if (const auto* set = std::get_if<SetMembershipTimer>(&command)) timer = set->at;
      std::string line = std::visit(MembershipText{}, command);
      if (!line.empty()) all.push_back(std::move(line));
    }
    core_.check_invariants();
    return all;
  }
  PeerView peer(const std::string& name) const {
    for (const PeerView& view : core_.peers()) {
      if (view.name == name) return view;
    }
    return {};
  }
  Membership& core() { return core_; }
  Instant timer;

 private:
  Membership core_;
};

const std::vector<ExpectedNode> kPair = {{"p", Role::prefill, "h:1"}, {"d", Role::decode, "h:2"}};

TEST(Membership, dials_those_it_needs_that_stand_before_it_in_the_file) {
  const std::vector<std::pair<std::string, Lines>> cases = {
      {"g", {}},
      {"s", {"connect g h:1 #1"}},
      {"q", {"connect g h:1 #1", "connect s h:2 #2"}},
      {"d", {"connect g h:1 #1", "connect s h:2 #2", "connect p h:3 #3", "connect q h:4 #4"}},
  };
  for (const auto& [name, said] : cases) {
    TestNode node{name};
    EXPECT_EQ(node.on(StartMembership{}), said) << name;
  }
}

TEST(Membership, admits_both_ways_by_one_hello_and_its_answer) {
  TestNode d{"d", kPair}, p{"p", kPair};
  EXPECT_EQ(d.on(StartMembership{}), (Lines{"connect p h:1 #1"}));
  EXPECT_EQ(d.on(Connected{"p", 1}), (Lines{"hello p #1"}));
  EXPECT_EQ(p.on(HelloArrived{hello("d")}), (Lines{"answer d #1", "admit d1 #1"}));
  EXPECT_EQ(d.on(HelloAnswered{"p", 1, hello("p")}), (Lines{"admit p1 #1"}));
  EXPECT_EQ(d.peer("p").state, PeerState::ready);
  EXPECT_EQ(p.peer("d").state, PeerState::ready);
}

TEST(Membership, tries_again_with_growing_pauses_until_the_other_has_started) {
  TestNode d{"d", kPair};
  d.on(StartMembership{});
  Instant now = at(0);
  Duration last{0};
  for (LinkId link = 1; link < 12; ++link) {
    EXPECT_EQ(d.on(ConnectFailed{"p", link, "refused"}, now), Lines{});
    const Duration pause = d.timer - now;
    EXPECT_LE(pause, Milliseconds{500});
    EXPECT_TRUE(pause > last || link > 4);
    last = pause;
    now = d.timer;
    EXPECT_EQ(d.on(MembershipTick{}, now), (Lines{fmt::format("connect p h:1 #{}", link + 1)}));
  }
  EXPECT_EQ(d.peer("p").state, PeerState::starting);
  EXPECT_EQ(d.peer("p").reason, "refused");
}

TEST(Membership, gives_up_an_attempt_that_is_not_answered) {
  TestNode d{"d", kPair};
  d.on(StartMembership{});
  EXPECT_EQ(d.on(MembershipTick{}, at(2000)), (Lines{"close p #1"}));
  EXPECT_EQ(d.on(Connected{"p", 1}, at(2001)), (Lines{"close p #1"})) << "too late";
  EXPECT_EQ(d.on(MembershipTick{}, d.timer), (Lines{"connect p h:1 #2"}));
  d.on(Connected{"p", 2}, at(2100));
  EXPECT_EQ(d.on(MembershipTick{}, at(4100)), (Lines{"close p #2"})) << "no answer to the hello";
  EXPECT_EQ(d.on(HelloAnswered{"p", 2, hello("p")}, at(4101)), (Lines{"close p #2"}));
}

TEST(Membership, loses_a_peer_when_its_link_ends_and_dials_again) {
  TestNode d{"d", kPair}, p{"p", kPair};
  d.on(StartMembership{});
  d.on(Connected{"p", 1});
  d.on(HelloAnswered{"p", 1, hello("p")});
  EXPECT_EQ(d.on(LinkDown{"p", 7, "another link"}), Lines{});
  EXPECT_EQ(d.on(LinkDown{"p", 1, "gone"}), (Lines{"goodbye p", "lose p1 #1", "close p #1"}));
  EXPECT_EQ(d.peer("p").state, PeerState::down);
  EXPECT_EQ(d.on(MembershipTick{}, d.timer), (Lines{"connect p h:1 #2"}));
  p.on(HelloArrived{hello("d")});
  EXPECT_EQ(p.on(LinkDown{"d", 1, "gone"}), (Lines{"goodbye d", "lose d1 #1", "close d #1"}));
  EXPECT_EQ(p.on(MembershipTick{}, at(60'000)), Lines{}) << "the other dials";
}

TEST(Membership, takes_a_second_hello_of_the_same_life_for_a_link_that_was_lost) {
  TestNode p{"p", kPair};
  p.on(HelloArrived{hello("d")});
  EXPECT_EQ(p.on(HelloArrived{hello("d")}), (Lines{"lose d1 #1", "close d #1", "answer d #2", "admit d1 #2"}));
  EXPECT_EQ(p.on(LinkDown{"d", 1, "the old one"}), Lines{});
}

TEST(Membership, lets_the_newer_life_win) {
  TestNode p{"p", kPair};
  p.on(HelloArrived{hello("d", 2)});
  EXPECT_EQ(p.on(HelloArrived{hello("d", 1)}), (Lines{"refuse d"}));
  EXPECT_EQ(p.peer("d").state, PeerState::ready) << "an older process does not disturb";
  EXPECT_EQ(p.on(HelloArrived{hello("d", 3)}), (Lines{"lose d2 #1", "close d #1", "answer d #2", "admit d3 #2"}));
}

TEST(Membership, on_goodbye_loses_the_peer_and_comes_back) {
  TestNode d{"d", kPair};
  d.on(StartMembership{});
  d.on(Connected{"p", 1});
  d.on(HelloAnswered{"p", 1, hello("p")});
  EXPECT_EQ(d.on(Goodbye{instance("p9")}), Lines{}) << "of another life";
  EXPECT_EQ(d.on(Goodbye{hello("p").self}), (Lines{"lose p1 #1", "close p #1"}));
  EXPECT_EQ(d.on(MembershipTick{}, d.timer), (Lines{"connect p h:1 #2"}));
}

struct Mismatch {
  std::string name;
  void (*change)(Hello&);
  std::string reason;
};

TEST(Membership, refuses_a_mismatch_by_name_on_both_sides) {
  const std::vector<Mismatch> cases = {
      {"protocol", [](Hello& h) { h.protocol = 9; }, "d speaks version 9 of the control plane and p version 1"},
      {"model", [](Hello& h) { h.kv.model_fingerprint = 8; h.model = "big"; }, "d serves big (0000000000000008) and p serves tiny"},
      {"block size", [](Hello& h) { h.kv.block_tokens = 32; }, "d has KV blocks of 32 tokens and p of 16"},
      {"kv type", [](Hello& h) { h.kv.type = KvType::f32; }, "d keeps KV in f32 and p in bf16"},
      {"kernels", [](Hello& h) { h.kv.kernel_identity = 5; }, "d computes by kernels 0000000000000005"},
      {"ucx", [](Hello& h) { h.ucx_minor = 14; }, "d has UCX 1.14 and p has 1.13"},
      {"role", [](Hello& h) { h.role = Role::mixed; }, "d says it is a mixed node, the cluster file says decode"},
  };
  for (const Mismatch& c : cases) {
    TestNode p{"p", kPair}, d{"d", kPair};
    Hello wrong = hello("d");
    c.change(wrong);
    const MembershipCommands said = p.core().on(HelloArrived{wrong}, at(0));
    const auto& refusal = std::get<RefuseHello>(said.front());
    EXPECT_THAT(refusal.reason, HasSubstr(c.reason)) << c.name;
    EXPECT_EQ(p.peer("d").state, PeerState::refused);
    EXPECT_EQ(p.on(HelloArrived{wrong}), (Lines{"refuse d"})) << "said again, but reported once";

    d.on(StartMembership{});
    d.on(Connected{"p", 1});
    EXPECT_EQ(d.on(HelloRejected{"p", 1, refusal.reason}), (Lines{"close p #1", "report p"}));
    EXPECT_EQ(d.peer("p").state, PeerState::refused);
    EXPECT_EQ(d.peer("p").reason, refusal.reason);
    EXPECT_GE(d.timer - at(0), Milliseconds{3000}) << "not in haste";
    EXPECT_EQ(p.on(HelloArrived{hello("d", 2)}), (Lines{"answer d #1", "admit d2 #1"})) << "restarted with the right one";
  }
}

TEST(Membership, refuses_an_answer_it_did_not_expect) {
  TestNode d{"d", kPair};
  d.on(StartMembership{});
  d.on(Connected{"p", 1});
  EXPECT_EQ(d.on(HelloAnswered{"p", 1, hello("x")}), (Lines{"goodbye p", "close p #1", "report p"}));
  EXPECT_EQ(d.peer("p").reason, "x answers at h:1, where the cluster file has p");
}

TEST(Membership, refuses_who_is_not_in_the_file_or_has_another_order_of_it) {
  TestNode p{"p", kPair}, d{"d", kPair};
  EXPECT_EQ(p.on(HelloArrived{hello("x")}), (Lines{"refuse x"}));
  EXPECT_EQ(d.on(HelloArrived{hello("p")}), (Lines{"refuse p", "report p"})) << "d dials p";
}

// A clock may be set back before a restart: what counts is whether the other life is there.
TEST(Membership, takes_an_older_incarnation_once_the_newer_one_is_down) {
  TestNode p{"p", kPair};
  EXPECT_EQ(p.on(HelloArrived{hello("d", 5)}), (Lines{"answer d #1", "admit d5 #1"}));
  EXPECT_EQ(p.on(HelloArrived{hello("d", 3)}), (Lines{"refuse d"})) << "two processes of one name";
  EXPECT_EQ(p.on(LinkDown{"d", 1, "closed"}), (Lines{"goodbye d", "lose d5 #1", "close d #1"}));
  EXPECT_EQ(p.on(HelloArrived{hello("d", 3)}), (Lines{"answer d #2", "admit d3 #2"}));
}

TEST(Membership, asks_of_gateway_and_scheduler_no_kv) {
  TestNode g{"g"}, s{"s"};
  Hello other = hello("d");
  other.kv.block_tokens = 64;
  EXPECT_EQ(g.on(HelloArrived{other}), (Lines{"answer d #1", "admit d1 #1"}));
  EXPECT_EQ(s.on(HelloArrived{other}), (Lines{"answer d #1", "admit d1 #1"}));
  other.kv.model_fingerprint = 99;
  other.self.incarnation = {2};
  EXPECT_EQ(g.on(HelloArrived{other}).front(), "refuse d") << "a gateway's tokens are the model's";
}

TEST(Membership, instances_can_serve_when_a_prefill_and_a_decode_among_them_agree) {
  Hello other_blocks = hello("d");
  other_blocks.kv.block_tokens = 32;
  EXPECT_FALSE(can_serve({}));
  EXPECT_FALSE(can_serve({hello("p"), hello("q")}));
  EXPECT_FALSE(can_serve({hello("d")}));
  EXPECT_FALSE(can_serve({hello("p"), other_blocks}));
  EXPECT_TRUE(can_serve({hello("p"), hello("d")}));
  EXPECT_TRUE(can_serve({hello("p"), other_blocks, hello("d")}));
  EXPECT_TRUE(can_serve({hello("m")}));
  EXPECT_TRUE(can_serve({hello("q"), other_blocks, hello("m")}));
}

}  // namespace
}  // namespace baton
