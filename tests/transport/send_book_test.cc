#include "transport/send_book.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "transport/wire.h"

namespace baton::transport {
namespace {

constexpr PeerId kReceiver = 2;

std::vector<SlotToSend> slots(std::initializer_list<std::uint32_t> sizes) {
  std::vector<SlotToSend> made;
  for (const std::uint32_t bytes : sizes) made.push_back({static_cast<std::uint32_t>(made.size()), {nullptr, bytes, bytes, 1, 0}});
  return made;
}

// "slot:offset+bytes" of every range, a piece per entry.
std::vector<std::string> drain(SendBook& book, std::size_t max_bytes) {
  std::vector<std::string> pieces;
  while (const auto piece = book.next(kReceiver, max_bytes)) {
    std::string text;
    for (const PieceRange& range : piece->ranges) {
      text += std::to_string(range.slot) + ":" + std::to_string(range.offset) + "+" + std::to_string(range.bytes) + " ";
    }
    pieces.push_back(text);
    book.piece_done(piece->transfer, true);
  }
  return pieces;
}

TEST(SendBook, packs_whole_slots_in_order_and_splits_only_those_larger_than_a_piece) {
  struct Case {
    std::initializer_list<std::uint32_t> sizes;
    std::vector<std::string> pieces;
  } const cases[] = {
      {{40, 40, 40}, {"0:0+40 1:0+40 ", "2:0+40 "}},
      {{100, 1}, {"0:0+100 ", "1:0+1 "}},
      {{101}, {"0:0+100 ", "0:100+1 "}},
      {{30, 250, 30}, {"0:0+30 ", "1:0+100 ", "1:100+100 ", "1:200+50 2:0+30 "}},
      {{0, 0}, {"0:0+0 1:0+0 "}},
  };
  for (const Case& c : cases) {
    SendBook book;
    book.add(kReceiver, 1, slots(c.sizes));
    EXPECT_EQ(drain(book, 100), c.pieces);
  }
}

TEST(SendBook, a_piece_names_a_bounded_number_of_slots) {
  SendBook book;
  std::vector<SlotToSend> many(3 * kMaxSlotsPerPiece, SlotToSend{0, {nullptr, 1, 1, 1, 0}});
  book.add(kReceiver, 1, many);
  EXPECT_EQ(drain(book, 1 << 20).size(), 3u);
}

TEST(SendBook, transfers_to_a_peer_take_turns) {
  SendBook book;
  book.add(kReceiver, 1, slots({100, 100, 100}));
  book.add(kReceiver, 2, slots({100}));
  std::vector<Transfer> order;
  while (const auto piece = book.next(kReceiver, 100)) order.push_back(piece->transfer);
  EXPECT_EQ(order, (std::vector<Transfer>{1, 2, 1, 1}));
}

TEST(SendBook, finishes_when_closed_and_nothing_is_queued_or_in_flight) {
  SendBook book;
  book.add(kReceiver, 1, slots({100, 100}));
  ASSERT_TRUE(book.next(kReceiver, 100));
  book.close(1);
  EXPECT_TRUE(book.take_finished().empty());
  ASSERT_TRUE(book.next(kReceiver, 100));
  book.piece_done(1, true);
  EXPECT_TRUE(book.take_finished().empty());
  book.piece_done(1, true);
  const auto finished = book.take_finished();
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_FALSE(finished[0].failed);
}

// Random calls in random order: every transfer that was closed or aborted is reported exactly once, and not while it has pieces in
// flight.
TEST(SendBook, reports_every_transfer_exactly_once_under_random_calls) {
  std::mt19937_64 random(5);
  SendBook book;
  std::map<Transfer, int> in_flight, reported;
  std::set<Transfer> ended;
  const auto check = [&] {
    for (const FinishedSends& sends : book.take_finished()) {
      ++reported[sends.transfer];
      ASSERT_EQ(in_flight[sends.transfer], 0);
      ASSERT_TRUE(ended.contains(sends.transfer));
    }
  };
  Transfer newest = 1;
  for (int step = 0; step < 100'000; ++step) {
    const Transfer transfer = newest - random() % std::min<Transfer>(newest, 8);
    const PeerId peer = transfer % 3;
    switch (random() % 8) {
      case 0: ++newest; break;
      case 1:
        if (!ended.contains(transfer)) book.add(peer, transfer, slots({50, 50, 120}));
        break;
      case 2: book.close(transfer), ended.insert(transfer); break;
      case 3: book.abort(transfer), ended.insert(transfer); break;
      case 4:
        if (random() % 20 == 0) book.fail_peer(peer);
        break;
      case 5:
      case 6:
        if (const auto piece = book.next(peer, 100)) ++in_flight[piece->transfer];
        break;
      default:
        for (auto& [flying, count] : in_flight) {
          if (count > 0) {
            --count;
            book.piece_done(flying, random() % 10 != 0);
            break;
          }
        }
    }
    check();
  }
  for (auto& [transfer, count] : in_flight) {
    for (; count > 0; book.piece_done(transfer, true)) --count;
  }
  for (Transfer transfer = 1; transfer <= newest; ++transfer) {
    if (ended.insert(transfer).second) book.close(transfer);
  }
  check();
  for (const Transfer transfer : ended) ASSERT_EQ(reported[transfer], 1) << transfer;
}

}  // namespace
}  // namespace baton::transport
