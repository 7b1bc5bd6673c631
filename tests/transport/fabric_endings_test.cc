// What Fabric promises when something ends: grants, sends, connections and peers.
#include "tests/transport/fabric_contract.h"

namespace baton::transport {
namespace {

template <class World>
class FabricEndings : public FabricContract<World> {};
TYPED_TEST_SUITE(FabricEndings, Worlds, WorldNames);

TYPED_TEST(FabricEndings, what_comes_after_drop_grant_is_rejected_and_never_written) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(1);
  (*d)->grant({7, 1, target.all(), kLong});
  (*p)->send(2, 7, source.to_send(0, 8));
  ASSERT_TRUE(this->landed(*d, 7, 8));
  (*d)->drop_grant(7);
  (*d)->drop_grant(7);
  (*p)->send(2, 7, source.to_send(8, 12));
  (*p)->close_sends(7);
  ASSERT_TRUE(this->rejections(*d, 12));
  ASSERT_TRUE(this->complete(*p, 7));
  for (std::uint32_t i = 8; i < 20; ++i) EXPECT_TRUE(target.untouched(i));
  EXPECT_TRUE(target.guards_intact());
  EXPECT_EQ(d->fabric->stats().slots_rejected_no_grant, 12u);
  EXPECT_FALSE(this->world.look([&] { return d->heard.failed.contains(7); }));
}

TYPED_TEST(FabricEndings, a_grant_ends_at_its_deadline) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks), rest(kBlocks);
  (*d)->grant({7, 1, target.all(), kShort});
  ASSERT_TRUE(this->world.until([&] { return d->heard.failed.contains(7); }));
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(7);
  ASSERT_TRUE(this->rejections(*d, kBlocks.slots));
  EXPECT_TRUE(target.untouched(0));
  EXPECT_EQ(d->heard.failed[7].size(), 1u);
}

TYPED_TEST(FabricEndings, a_landed_grant_does_not_fail_at_its_deadline) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks), other(kBlocks);
  (*d)->grant({7, 1, target.all(), 1'000'000'000});
  (*p)->send(2, 7, source.to_send());
  ASSERT_TRUE(this->landed(*d, 7, kBlocks.slots));
  (*d)->grant({8, 1, other.all(), 1'100'000'000});
  ASSERT_TRUE(this->world.until([&] { return d->heard.failed.contains(8); }));
  EXPECT_FALSE(d->heard.failed.contains(7));
  (*p)->abort_sends(7);
}

TYPED_TEST(FabricEndings, sends_end_exactly_once_whatever_is_called_after) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks), next(kBlocks);
  this->move_all(*p, *d, 7, source, target);
  (*p)->close_sends(7);
  (*p)->abort_sends(7);
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(8);                                      // nothing was ever sent
  (*p)->abort_sends(9);
  ASSERT_TRUE(this->complete(*p, 9));
  this->move_all(*p, *d, 10, source, next);
  EXPECT_EQ(this->completions(*p, 7), std::vector<bool>{false});
  EXPECT_EQ(this->completions(*p, 8), std::vector<bool>{false});
  EXPECT_EQ(this->completions(*p, 9), std::vector<bool>{true});
  EXPECT_EQ(d->heard.rejected.size(), 0u);
}

TYPED_TEST(FabricEndings, aborting_gives_the_memory_back_and_leaves_other_transfers_alone) {
  auto p = this->world.node(1, {.piece_bytes = 64 << 10}), d = this->world.node(2, {.piece_bytes = 64 << 10});
  p->connect_to(*d);
  const SlotShape large{.slots = 400, .run_bytes = 30000, .stride_bytes = 30000, .runs = 1};
  SlotArena source(large), target(large), other(kBlocks), other_target(kBlocks);
  (*d)->grant({7, 1, target.all(), kLong});
  (*d)->grant({8, 1, other_target.all(), kLong});
  (*p)->send(2, 7, source.to_send());
  (*p)->send(2, 8, other.to_send());
  (*p)->abort_sends(7);
  (*p)->close_sends(8);
  ASSERT_TRUE(this->complete(*p, 7));
  source.fill(99);                                           // ours again: what landed is from before
  ASSERT_TRUE(this->landed(*d, 8, kBlocks.slots));
  EXPECT_EQ(this->completions(*p, 7), std::vector<bool>{true});
  EXPECT_TRUE(target.guards_intact());
  EXPECT_EQ(d->heard.rejected.size(), 0u);
}

TYPED_TEST(FabricEndings, a_peer_with_the_wrong_token_is_refused_and_told_why) {
  auto p = this->world.node(1), d = this->world.node(2);
  SlotArena source(kBlocks), target(kBlocks);
  (*d)->grant({7, 1, target.all(), kLong});
  (*p)->connect(2, (*d)->address(), d->token + 1);
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(7);
  ASSERT_TRUE(this->world.until([&] { return p->heard.peers_failed.contains(2); }));
  EXPECT_NE(p->heard.peers_failed[2][0].find("token"), std::string::npos) << p->heard.peers_failed[2][0];
  ASSERT_TRUE(this->complete(*p, 7));
  EXPECT_EQ(this->completions(*p, 7), std::vector<bool>{true});
  EXPECT_TRUE(target.untouched(0));
  p->connect_to(*d);                                         // with the right one it works
  SlotArena next(kBlocks);
  this->move_all(*p, *d, 8, source, next);
}

TYPED_TEST(FabricEndings, an_address_where_nobody_answers_fails_the_peer_and_its_sends) {
  auto p = this->world.node(1, {.connect_deadline_ns = 500'000'000});
  SlotArena source(kBlocks);
  (*p)->connect(2, this->world.dead_address(), 5);
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(7);
  ASSERT_TRUE(this->world.until([&] { return p->heard.peers_failed.contains(2); }));
  ASSERT_TRUE(this->complete(*p, 7));
  EXPECT_EQ(this->completions(*p, 7), std::vector<bool>{true});
}

TYPED_TEST(FabricEndings, says_when_a_peer_is_ready_and_again_after_a_break) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  ASSERT_TRUE(this->world.until([&] { return p->heard.peers_ready[2] == 1; }));
  p->connect_to(*d);                                         // it stands already
  (*d)->disconnect(1);
  ASSERT_TRUE(this->world.until([&] { return p->heard.peers_failed.contains(2); }));
  p->connect_to(*d);
  ASSERT_TRUE(this->world.until([&] { return p->heard.peers_ready[2] == 2; }));
  EXPECT_EQ(this->world.look([&] { return d->heard.peers_ready.size(); }), 0u) << "it made no connection itself";
}

TYPED_TEST(FabricEndings, sends_to_a_peer_never_connected_fail) {
  auto p = this->world.node(1);
  SlotArena source(kBlocks);
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(7);
  ASSERT_TRUE(this->complete(*p, 7));
  EXPECT_EQ(this->completions(*p, 7), std::vector<bool>{true});
}

TYPED_TEST(FabricEndings, when_the_receiver_goes_its_sender_hears_and_gets_its_memory_back) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena first(kBlocks), first_target(kBlocks);
  this->move_all(*p, *d, 6, first, first_target);
  const SlotShape large{.slots = 64, .run_bytes = 1 << 20, .stride_bytes = 1 << 20, .runs = 1};
  SlotArena source(large), target(large);
  (*d)->grant({7, 1, target.all(), kLong});
  (*p)->send(2, 7, source.to_send());
  d->fabric.reset();
  ASSERT_TRUE(this->world.until([&] { return p->heard.peers_failed.contains(2); }));
  (*p)->close_sends(7);
  ASSERT_TRUE(this->complete(*p, 7));
  EXPECT_TRUE(target.guards_intact());
  EXPECT_EQ(p->heard.peers_failed[2].size(), 1u);
}

TYPED_TEST(FabricEndings, when_the_sender_goes_the_grants_to_it_fail) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks), other(kBlocks);
  (*d)->grant({7, 1, target.all(), kLong});
  (*d)->grant({8, 1, other.all(), kLong});
  (*d)->grant({9, 3, other.all(), kLong});                   // of another peer
  (*p)->send(2, 7, source.to_send(0, 10));
  ASSERT_TRUE(this->landed(*d, 7, 10));
  p->fabric.reset();
  ASSERT_TRUE(this->world.until([&] { return d->heard.failed.contains(7) && d->heard.failed.contains(8); }));
  EXPECT_FALSE(d->heard.failed.contains(9));
  EXPECT_TRUE(this->world.until([&] { return d->heard.peers_failed.contains(1); }));
}

TYPED_TEST(FabricEndings, disconnect_fails_both_sides_and_a_new_connection_works) {
  auto p = this->world.node(1), d = this->world.node(2);
  SlotArena source(kBlocks), target(kBlocks), second(kBlocks);
  source.fill(1);
  for (Transfer round = 0; round < 3; ++round) {
    p->connect_to(*d);
    SlotArena whole(kBlocks), part(kBlocks);
    this->move_all(*p, *d, 100 + round, source, whole);
    (*d)->grant({200 + round, 1, part.all(), kLong});
    (*p)->send(2, 200 + round, source.to_send(0, 10));
    ASSERT_TRUE(this->landed(*d, 200 + round, 10));
    (*p)->disconnect(2);
    (*p)->close_sends(200 + round);
    ASSERT_TRUE(this->complete(*p, 200 + round));
    ASSERT_TRUE(this->world.until([&] { return d->heard.failed.contains(200 + round); }));
    ASSERT_TRUE(this->world.until([&] { return d->heard.peers_failed[1].size() == round + 1; }));
  }
  EXPECT_FALSE(p->heard.peers_failed.contains(2));           // it knew
}

TYPED_TEST(FabricEndings, a_peer_that_comes_back_under_a_new_address_is_reached_again) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks), second(kBlocks);
  source.fill(1);
  this->move_all(*p, *d, 7, source, target);
  d->fabric.reset();
  ASSERT_TRUE(this->world.until([&] { return p->heard.peers_failed.contains(2); }));
  d = this->world.node(2);
  p->connect_to(*d);
  this->move_all(*p, *d, 8, source, second);
  EXPECT_TRUE(second.content(7) == source.content(7));
}

}  // namespace
}  // namespace baton::transport
