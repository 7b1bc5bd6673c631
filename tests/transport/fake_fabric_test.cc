// What only the fake does: faults, virtual time, and moving nothing.
#include "transport/fake_fabric.h"

#include <gtest/gtest.h>

#include "tests/transport/fabric_world.h"
#include "tests/transport/slot_arena.h"

namespace baton::transport {
namespace {

constexpr SlotShape kShape{.slots = 8, .run_bytes = 4096, .stride_bytes = 4096, .runs = 1};

class FakeFabricTest : public ::testing::Test {
 protected:
  FakeFabricTest() {
    p = world.node(1, {.piece_bytes = 4096});
    d = world.node(2, {.piece_bytes = 4096});
    p->connect_to(*d);
    source.fill(1);
  }
  void start(std::int64_t deadline_ns = 1'000'000'000) {
    (*d)->grant({7, 1, target.all(), deadline_ns});
    (*p)->send(2, 7, source.to_send());
    (*p)->close_sends(7);
  }
  FakeWorld world;
  SlotArena source{kShape}, target{kShape};
  NodePtr p, d;
};

TEST_F(FakeFabricTest, a_dropped_piece_is_believed_sent_and_fails_the_transfer_at_its_deadline) {
  world.hub.fault = [](const FakePiece& piece) { return FakeFault{.drop = piece.piece == 3}; };
  start();
  world.hub.run();
  EXPECT_EQ(d->heard.landed_of(7), 7u);
  EXPECT_EQ(p->heard.sends_complete[7], std::vector<bool>{false});
  EXPECT_TRUE(d->heard.failed.empty());
  world.hub.advance(1'000'000'000);
  EXPECT_EQ(d->heard.failed.count(7), 1u);
  EXPECT_EQ(world.hub.now_ns(), 1'000'000'000);
}

TEST_F(FakeFabricTest, a_corrupt_piece_is_rejected) {
  world.hub.fault = [](const FakePiece& piece) { return FakeFault{.corrupt = piece.piece == 3}; };
  start();
  world.hub.run();
  EXPECT_EQ(d->heard.landed_of(7), 7u);
  ASSERT_EQ(d->heard.rejected.size(), 1u);
  EXPECT_EQ(d->heard.rejected[0], std::tuple(Transfer{7}, 2u, RejectReason::digest));
}

TEST_F(FakeFabricTest, a_duplicate_is_rejected) {
  world.hub.fault = [](const FakePiece& piece) { return FakeFault{.duplicates = piece.piece == 3 ? 2 : 0}; };
  start();
  world.hub.run();
  EXPECT_EQ(d->heard.landings, 8u);
  EXPECT_EQ(d->heard.rejected.size(), 2u);
  EXPECT_EQ(p->heard.sends_complete[7], std::vector<bool>{false});
}

TEST_F(FakeFabricTest, a_delayed_piece_is_overtaken_and_lands_when_it_is_due) {
  world.hub.fault = [](const FakePiece& piece) { return FakeFault{.delay_ns = piece.piece == 1 ? 500 : 0}; };
  start();
  world.hub.run();
  EXPECT_EQ(d->heard.landed_of(7), 7u);
  world.hub.advance(499);
  EXPECT_EQ(d->heard.landed_of(7), 7u);
  world.hub.advance(1);
  EXPECT_EQ(d->heard.landed_of(7), 8u);
}

TEST_F(FakeFabricTest, a_frozen_peer_notices_nothing_until_it_thaws) {
  start();
  world.hub.freeze(2);
  world.hub.advance(2'000'000'000);
  EXPECT_EQ(d->heard.landed_of(7), 0u);
  EXPECT_TRUE(d->heard.failed.empty() && p->heard.sends_complete.empty());
  world.hub.thaw(2);
  world.hub.run();
  EXPECT_EQ(d->heard.failed.count(7), 1u);                   // its deadline passed while it was frozen
  EXPECT_TRUE(target.untouched(0));
  EXPECT_EQ(p->heard.sends_complete[7], std::vector<bool>{false});
}

TEST_F(FakeFabricTest, a_cut_connection_is_noticed_on_both_sides) {
  start();
  world.hub.cut(1, 2);
  world.hub.run();
  EXPECT_EQ(p->heard.peers_failed.count(2), 1u);
  EXPECT_EQ(d->heard.peers_failed.count(1), 1u);
  EXPECT_EQ(p->heard.sends_complete[7].size(), 1u);
}

TEST(FakeFabricWithoutBytes, lands_by_name_and_still_notices_misplaced_and_corrupt_slots) {
  Bulletin bulletin;
  FakeHub hub({.move_bytes = false});
  FabricNode p(bulletin, 1), d(bulletin, 2);
  p.fabric = hub.open({.self = 1, .token = p.token, .piece_bytes = 4096}, &p.heard);
  d.fabric = hub.open({.self = 2, .token = d.token, .piece_bytes = 4096}, &d.heard);
  hub.fault = [](const FakePiece& piece) { return FakeFault{.corrupt = piece.piece == 2}; };
  p.connect_to(d);
  std::vector<SlotMemory> granted;
  std::vector<SlotToSend> sent;
  for (std::uint32_t i = 0; i < 4; ++i) {
    granted.push_back({nullptr, 3000, 3000, 1, 50 + i});
    sent.push_back({i, {nullptr, 3000, 3000, 1, 50 + i + (i == 3 ? 1 : 0)}});
  }
  d->grant({7, 1, granted, 1'000'000'000});
  p->send(2, 7, sent);
  p->close_sends(7);
  hub.run();
  EXPECT_EQ(d.heard.landed[7], (std::map<std::uint32_t, std::uint64_t>{{0, 50}, {2, 52}}));
  EXPECT_EQ(d.heard.rejected, (std::vector{std::tuple(Transfer{7}, 1u, RejectReason::digest),
                                           std::tuple(Transfer{7}, 3u, RejectReason::digest)}));
  EXPECT_EQ(d->stats().bytes_received, 6000u);
}

}  // namespace
}  // namespace baton::transport
