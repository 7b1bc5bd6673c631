#include "transport/grant_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/transport/slot_arena.h"
#include "transport/clock.h"
#include "transport/digest.h"

namespace baton::transport {
namespace {

constexpr PeerId kPeer = 5;

class GrantTableTest : public ::testing::Test {
 protected:
  // A piece with one range of a slot, as an honest sender makes it.
  std::pair<PieceHeader, std::vector<std::byte>> piece(const SlotMemory& from, std::uint32_t slot, std::size_t offset,
                                                       std::size_t bytes) {
    std::vector<std::byte> payload(bytes);
    gather(from, offset, bytes, payload.data());
    const std::uint64_t digest = range_digest(payload.data(), bytes, from.digest_seed, offset, from.bytes());
    return {{1, 1, true, {{slot, static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(bytes),
                           static_cast<std::uint32_t>(from.bytes()), digest}}},
            payload};
  }
  Landing land(const std::pair<PieceHeader, std::vector<std::byte>>& piece) { return table.land(kPeer, piece.first, piece.second); }

  Counters counters;
  GrantTable table{true, counters};
};

TEST_F(GrantTableTest, fragments_land_in_any_order_and_the_slot_with_the_last) {
  const SlotShape shape{.run_bytes = 50'000, .stride_bytes = 50'000, .runs = 1};
  constexpr std::size_t kFragment = 8192;
  std::vector<std::size_t> offsets;
  for (std::size_t offset = 0; offset < 50'000; offset += kFragment) offsets.push_back(offset);
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    SlotArena source(shape), target(shape);
    source.fill(round);
    table.add({1, kPeer, target.all(), kNever}, 0);
    std::shuffle(offsets.begin(), offsets.end(), random);
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const auto sent = piece(source.slot(0), 0, offsets[i], std::min<std::size_t>(kFragment, 50'000 - offsets[i]));
      const Landing landing = land(sent);
      ASSERT_TRUE(landing.rejected.empty());
      ASSERT_EQ(landing.slots.size(), i + 1 == offsets.size() ? 1u : 0u);
      if (i + 1 < offsets.size()) {
        ASSERT_EQ(land(sent).rejected[0].second, RejectReason::malformed);   // the same fragment again
      } else {
        ASSERT_EQ(landing.digests[0], slot_digest(source.slot(0)));
      }
    }
    ASSERT_TRUE(target.content(0) == source.content(0));
    ASSERT_FALSE(table.live(1, kPeer));
  }
}

TEST_F(GrantTableTest, refuses_fragments_that_overlap_or_are_too_small) {
  const SlotShape shape{.run_bytes = 50'000, .stride_bytes = 50'000, .runs = 1};
  SlotArena source(shape), target(shape);
  table.add({1, kPeer, target.all(), kNever}, 0);
  EXPECT_TRUE(land(piece(source.slot(0), 0, 8192, 8192)).rejected.empty());
  for (const auto& [offset, bytes] : {std::pair{4097, 4096}, {16383, 8192}, {8192, 8192}, {9000, 4096}, {4096, 20'000}, {0, 100}}) {
    const Landing landing = land(piece(source.slot(0), 0, offset, bytes));
    EXPECT_EQ(landing.rejected.size(), 1u) << offset << "+" << bytes;
  }
  EXPECT_EQ(counters.read().slots_rejected_other, 6u);
}

// Headers with random fields against a small grant, their digests right or not: nothing outside the slots is ever written, and
// accepted bytes never exceed the slots'.
TEST_F(GrantTableTest, random_headers_never_write_outside_the_slots) {
  const SlotShape shape{.slots = 4, .run_bytes = 100, .stride_bytes = 130, .runs = 90};
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    SlotArena target(shape);
    table.add({1, kPeer, target.all(), kNever}, 0);
    const std::uint64_t before = counters.read().bytes_received;
    for (int i = 0; i < 30; ++i) {
      const auto number = [&](std::uint32_t honest) {
        const std::uint32_t choices[] = {honest, honest, honest + 1, 0, ~0u, static_cast<std::uint32_t>(random())};
        return choices[random() % 6];
      };
      PieceSlot slot{number(random() % 4), number(random() % 3 * 4096), number(4096), number(9000), 0};
      if (random() % 2 == 0) slot.offset = 0, slot.bytes = slot.of;
      std::vector<std::byte> payload(slot.bytes < 20'000 ? slot.bytes : 50);
      if (slot.slot < 4) {
        slot.digest = range_digest(payload.data(), payload.size(), target.slot(slot.slot).digest_seed, slot.offset, slot.of);
      }
      table.land(kPeer, {1, 1, true, {slot}}, payload);
    }
    ASSERT_TRUE(target.guards_intact());
    ASSERT_LE(counters.read().bytes_received - before, 4u * 9000);
    table.drop(1);
  }
}

// Anyone may name a transfer: only its own sender can be said to have got it wrong.
TEST_F(GrantTableTest, rejects_whatever_a_stranger_sends_as_no_grant) {
  const SlotShape shape{.slots = 1, .run_bytes = 5000, .stride_bytes = 5000, .runs = 1};
  SlotArena source(shape), target(shape);
  source.fill(1);
  table.add({1, kPeer, target.all(), kNever}, 0);
  auto sent = piece(source.slot(0), 0, 0, 5000);
  const std::vector<std::byte> shorter(4999);
  EXPECT_EQ(table.land(kPeer + 1, sent.first, sent.second).rejected.at(0).second, RejectReason::no_grant);
  EXPECT_EQ(table.land(kPeer + 1, sent.first, shorter).rejected.at(0).second, RejectReason::no_grant);
  EXPECT_EQ(table.land(kPeer, sent.first, shorter).rejected.at(0).second, RejectReason::malformed);
  sent.first.transfer = 2;
  EXPECT_EQ(table.land(kPeer, sent.first, shorter).rejected.at(0).second, RejectReason::no_grant);
  EXPECT_TRUE(target.untouched(0));
}

TEST_F(GrantTableTest, gives_back_exactly_what_expired_or_belonged_to_a_peer) {
  SlotArena target({});
  table.add({1, 10, target.all(), 100}, 0);
  table.add({2, 11, target.all(), 200}, 0);
  table.add({3, 10, target.all(), kNever}, 5);
  table.add({4, 11, target.all(), kNever}, 5);
  EXPECT_EQ(table.next_deadline(), 100);
  EXPECT_EQ(table.take_expired(99), std::vector<Transfer>{});
  EXPECT_EQ(table.take_expired(100), std::vector<Transfer>{1});
  EXPECT_EQ(table.take_from(10), std::vector<Transfer>{3});
  EXPECT_EQ(table.next_deadline(), 200);
  EXPECT_EQ(table.take_from(11), (std::vector<Transfer>{2, 4}));
  EXPECT_EQ(table.next_deadline(), kNever);
}

}  // namespace
}  // namespace baton::transport
