// What Fabric promises about bytes: which land, which are rejected, and what is written where.
#include <tuple>

#include "tests/transport/fabric_contract.h"
#include "transport/digest.h"

namespace baton::transport {
namespace {

template <class World>
class FabricLanding : public FabricContract<World> {};
TYPED_TEST_SUITE(FabricLanding, Worlds, WorldNames);

TYPED_TEST(FabricLanding, lands_what_was_sent_with_its_digest) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  const SlotShape shapes[] = {
      {.slots = 1, .run_bytes = 64, .stride_bytes = 64, .runs = 1},
      {.slots = 1, .run_bytes = 0, .stride_bytes = 0, .runs = 1},
      {.slots = 3, .run_bytes = 12288, .stride_bytes = 12288, .runs = 1},
      {.slots = 700, .run_bytes = 100, .stride_bytes = 100, .runs = 1},            // more than one piece's header names
      {.slots = 40, .run_bytes = 640, .stride_bytes = 2048, .runs = 6},            // scattered runs
      {.slots = 5, .run_bytes = 2 << 20, .stride_bytes = 2 << 20, .runs = 1},      // exactly a piece
      {.slots = 2, .run_bytes = 5'000'000, .stride_bytes = 5'000'000, .runs = 1},  // larger than a piece
      {.slots = 2, .run_bytes = 70'000, .stride_bytes = 70'016, .runs = 61},
  };
  Transfer transfer = 100;
  for (const SlotShape& shape : shapes) {
    SCOPED_TRACE(testing::Message() << shape.slots << " slots of " << shape.runs << " x " << shape.run_bytes);
    SlotArena source(shape), target(shape);
    source.fill(++transfer);
    this->move_all(*p, *d, transfer, source, target);
    for (std::uint32_t i = 0; i < shape.slots; ++i) {
      ASSERT_TRUE(target.content(i) == source.content(i)) << "slot " << i;
      ASSERT_EQ(d->heard.landed[transfer][i], slot_digest(source.slot(i))) << "slot " << i;
    }
    EXPECT_TRUE(target.guards_intact());
    EXPECT_EQ(this->completions(*p, transfer), std::vector<bool>{false});
  }
  EXPECT_EQ(d->heard.rejected.size(), 0u);
}

TYPED_TEST(FabricLanding, accounts_for_every_byte_slot_and_piece) {
  auto p = this->world.node(1, {.piece_bytes = 64 << 10}), d = this->world.node(2, {.piece_bytes = 64 << 10});
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(1);
  this->move_all(*p, *d, 7, source, target);
  const FabricStats sent = p->fabric->stats(), received = d->fabric->stats();
  EXPECT_EQ(sent.bytes_sent, source.payload());
  EXPECT_EQ(sent.pieces_sent, 4u);                           // five slots of 12 KiB fit one piece
  EXPECT_EQ(received.bytes_received, source.payload());
  EXPECT_EQ(received.slots_verified, kBlocks.slots);
  EXPECT_EQ(received.slots_rejected_digest + received.slots_rejected_no_grant + received.slots_rejected_other, 0u);
  EXPECT_EQ(d->heard.landings, kBlocks.slots);
}

TYPED_TEST(FabricLanding, uses_the_smaller_piece_of_the_two_sides) {
  auto p = this->world.node(1, {.piece_bytes = 4 << 20}), d = this->world.node(2, {.piece_bytes = 64 << 10});
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(1);
  this->move_all(*p, *d, 7, source, target);
  EXPECT_EQ(p->fabric->stats().pieces_sent, 4u);
}

TYPED_TEST(FabricLanding, lands_layer_by_layer_before_the_last_layer_is_sent) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(1);
  (*d)->grant({7, 1, target.all(), kLong});
  for (std::uint32_t layer = 0; layer < 4; ++layer) {
    (*p)->send(2, 7, source.to_send(layer * 5, 5));
    ASSERT_TRUE(this->landed(*d, 7, (layer + 1) * 5));
    EXPECT_TRUE(layer == 3 || target.untouched(layer * 5 + 5));
  }
  EXPECT_FALSE(this->world.look([&] { return p->heard.sends_complete.contains(7); }));
  (*p)->close_sends(7);
  ASSERT_TRUE(this->complete(*p, 7));
  EXPECT_TRUE(target.content(19) == source.content(19));
}

TYPED_TEST(FabricLanding, sends_what_was_given_before_the_connection_stood) {
  auto p = this->world.node(1), d = this->world.node(2);
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(1);
  (*d)->grant({7, 1, target.all(), kLong});
  p->connect_to(*d);
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(7);
  EXPECT_TRUE(this->landed(*d, 7, kBlocks.slots));
}

TYPED_TEST(FabricLanding, moves_several_transfers_of_several_peers_at_once_through_two_staging_buffers) {
  auto d = this->world.node(9, {.piece_bytes = 64 << 10, .staging_pieces = 2});
  std::vector<NodePtr> senders;
  std::vector<SlotArena> sources, targets;
  constexpr int kSenders = 3, kTransfers = 4;
  constexpr SlotShape kShape{.slots = 30, .run_bytes = 30000, .stride_bytes = 30000, .runs = 1};
  for (int i = 0; i < kSenders * kTransfers; ++i) {
    sources.emplace_back(kShape).fill(i);
    targets.emplace_back(kShape);
  }
  for (int s = 0; s < kSenders; ++s) {
    senders.push_back(this->world.node(1 + s, {.piece_bytes = 64 << 10}));
    senders[s]->connect_to(*d);
    for (int t = s * kTransfers; t < (s + 1) * kTransfers; ++t) {
      (*d)->grant({100u + t, senders[s]->id, targets[t].all(), kLong});
      (*senders[s])->send(9, 100 + t, sources[t].to_send());
      (*senders[s])->close_sends(100 + t);
    }
  }
  for (int t = 0; t < kSenders * kTransfers; ++t) {
    ASSERT_TRUE(this->landed(*d, 100 + t, kShape.slots));
    ASSERT_TRUE(this->complete(*senders[t / kTransfers], 100 + t));
    for (std::uint32_t i = 0; i < kShape.slots; ++i) ASSERT_TRUE(targets[t].content(i) == sources[t].content(i));
    ASSERT_TRUE(targets[t].guards_intact());
  }
  EXPECT_EQ(d->fabric->stats().bytes_received, kSenders * kTransfers * sources[0].payload());
}

TYPED_TEST(FabricLanding, moves_both_ways_between_two_peers) {
  auto a = this->world.node(1), b = this->world.node(2);
  a->connect_to(*b);
  b->connect_to(*a);
  SlotArena a_source(kBlocks), a_target(kBlocks), b_source(kBlocks), b_target(kBlocks);
  a_source.fill(1);
  b_source.fill(2);
  this->move_all(*a, *b, 7, a_source, b_target);
  this->move_all(*b, *a, 8, b_source, a_target);
  EXPECT_TRUE(b_target.content(0) == a_source.content(0));
  EXPECT_TRUE(a_target.content(0) == b_source.content(0));
}

TYPED_TEST(FabricLanding, rejects_what_was_never_granted) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks);
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(7);
  ASSERT_TRUE(this->rejections(*d, kBlocks.slots));
  EXPECT_EQ(d->heard.rejected[3], std::tuple(Transfer{7}, 3u, RejectReason::no_grant));
  EXPECT_EQ(d->fabric->stats().slots_rejected_no_grant, kBlocks.slots);
  EXPECT_EQ(d->fabric->stats().bytes_received, 0u);
  ASSERT_TRUE(this->complete(*p, 7));                        // the sender's memory is free all the same
}

TYPED_TEST(FabricLanding, a_grant_is_for_one_peer) {
  auto p = this->world.node(1), other = this->world.node(3), d = this->world.node(2);
  p->connect_to(*d);
  other->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(1);
  (*d)->grant({7, 1, target.all(), kLong});
  (*other)->send(2, 7, source.to_send());
  (*other)->close_sends(7);
  ASSERT_TRUE(this->rejections(*d, kBlocks.slots));
  EXPECT_TRUE(target.untouched(0));
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(7);
  EXPECT_TRUE(this->landed(*d, 7, kBlocks.slots));           // the rightful sender is not hindered
}

TYPED_TEST(FabricLanding, a_slot_lands_once_and_a_second_copy_is_rejected) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks), other(kBlocks);
  source.fill(1);
  other.fill(2);
  (*d)->grant({7, 1, target.all(), kLong});
  (*p)->send(2, 7, source.to_send(0, 2));
  ASSERT_TRUE(this->landed(*d, 7, 2));
  (*p)->send(2, 7, other.to_send(0, 1));
  ASSERT_TRUE(this->rejections(*d, 1));
  EXPECT_EQ(d->heard.rejected[0], std::tuple(Transfer{7}, 0u, RejectReason::no_grant));
  EXPECT_TRUE(target.content(0) == source.content(0));
  (*p)->abort_sends(7);
}

TYPED_TEST(FabricLanding, rejects_slots_of_another_size_or_number) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena small({.slots = 4, .run_bytes = 1000, .stride_bytes = 1000, .runs = 1});
  SlotArena target({.slots = 3, .run_bytes = 1004, .stride_bytes = 1004, .runs = 1});
  (*d)->grant({7, 1, target.all(), kLong});
  (*p)->send(2, 7, small.to_send());
  (*p)->close_sends(7);
  ASSERT_TRUE(this->rejections(*d, 4));
  EXPECT_EQ(d->heard.rejected[0], std::tuple(Transfer{7}, 0u, RejectReason::wrong_size));
  EXPECT_EQ(d->heard.rejected[3], std::tuple(Transfer{7}, 3u, RejectReason::no_grant));
  EXPECT_TRUE(target.untouched(0) && target.guards_intact());
}

TYPED_TEST(FabricLanding, a_bit_flipped_on_the_wire_rejects_one_slot_and_lands_the_others) {
  auto p = this->world.node(1, {.piece_bytes = 64 << 10, .flip_bit_in_piece = 2}), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(1);
  (*d)->grant({7, 1, target.all(), kLong});
  (*p)->send(2, 7, source.to_send());
  (*p)->close_sends(7);
  ASSERT_TRUE(this->landed(*d, 7, kBlocks.slots - 1));
  ASSERT_TRUE(this->rejections(*d, 1));
  const auto [transfer, slot, reason] = d->heard.rejected[0];
  EXPECT_EQ(reason, RejectReason::digest);
  EXPECT_TRUE(slot >= 5 && slot < 10) << slot;               // of the second piece
  EXPECT_TRUE(target.untouched(slot));
  EXPECT_EQ(d->fabric->stats().slots_rejected_digest, 1u);
  (*d)->grant({8, 1, target.all(), kLong});                  // a fresh grant gets it right
  (*p)->send(2, 8, source.to_send(slot, 1));
  ASSERT_TRUE(this->landed(*d, 8, 1));
  EXPECT_TRUE(target.content(slot) == source.content(slot));
  (*p)->abort_sends(8);
}

TYPED_TEST(FabricLanding, right_bytes_in_the_wrong_place_do_not_verify) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(1);
  (*d)->grant({7, 1, target.all(), kLong});
  (*p)->send(2, 7, {{3, source.slot(4)}});
  ASSERT_TRUE(this->rejections(*d, 1));
  EXPECT_EQ(d->heard.rejected[0], std::tuple(Transfer{7}, 3u, RejectReason::digest));
  EXPECT_TRUE(target.untouched(3));
  (*p)->abort_sends(7);
}

TYPED_TEST(FabricLanding, digests_are_off_by_name_on_both_sides_only) {
  auto p = this->world.node(1, {.verify = false}), off = this->world.node(2, {.verify = false}), on = this->world.node(3);
  p->connect_to(*off);
  p->connect_to(*on);
  SlotArena source(kBlocks), target(kBlocks), strict(kBlocks);
  source.fill(1);
  this->move_all(*p, *off, 7, source, target);
  EXPECT_TRUE(target.content(5) == source.content(5));
  EXPECT_EQ(off->heard.landed[7][5], 0u);
  EXPECT_EQ(off->fabric->stats().slots_verified, 0u);
  (*on)->grant({8, 1, strict.all(), kLong});
  (*p)->send(3, 8, source.to_send());
  (*p)->close_sends(8);
  ASSERT_TRUE(this->rejections(*on, kBlocks.slots));         // who wants digests does not take what has none
  EXPECT_TRUE(strict.untouched(0));
}

}  // namespace
}  // namespace baton::transport
