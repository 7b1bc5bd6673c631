#include "transport/wire.h"

#include <gtest/gtest.h>

#include <random>

namespace baton::transport {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

PieceHeader piece_of(std::size_t slots) {
  PieceHeader header{0xfedcba9876543210, 77, true, {}};
  for (std::uint32_t i = 0; i < slots; ++i) header.slots.push_back({i * 1000003, i, 0xffffff00 + i % 256, ~i, i * 0x9e3779b97f4a7c15u});
  return header;
}

TEST(Wire, decodes_what_it_encodes) {
  for (const Hello& hello : {Hello{}, Hello{kWireVersion, ~0ull, 1}, Hello{77, 1, ~0ull}}) {
    EXPECT_EQ(decode_hello(bytes_of(encode(hello))), hello);
  }
  for (const Welcome& welcome : {Welcome{true, ~0ull, 64u << 20, ""}, Welcome{false, 3, 0, "its token is not the one"}}) {
    EXPECT_EQ(decode_welcome(bytes_of(encode(welcome))), welcome);
  }
  for (const std::size_t slots : {1, 2, 255, 256}) {
    const PieceHeader header = piece_of(slots);
    EXPECT_EQ(decode_piece(bytes_of(encode(header))), header);
  }
}

TEST(Wire, a_full_piece_header_is_small) { EXPECT_LT(encode(piece_of(kMaxSlotsPerPiece)).size(), 7000u); }

TEST(Wire, cuts_a_long_refusal) {
  const auto welcome = decode_welcome(bytes_of(encode(Welcome{false, 1, 0, std::string(5000, 'x')})));
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->why, std::string(kMaxWhyBytes, 'x'));
}

TEST(Wire, refuses_every_prefix_and_every_extension) {
  for (const std::string& whole : {encode(Hello{1, 2, 3}), encode(Welcome{true, 1, 2, "why"}), encode(piece_of(3))}) {
    for (std::size_t length = 0; length <= whole.size() + 1; ++length) {
      if (length == whole.size()) continue;
      std::string cut = whole;
      cut.resize(length, '\x01');
      EXPECT_FALSE(decode_hello(bytes_of(cut)) || decode_welcome(bytes_of(cut)) || decode_piece(bytes_of(cut))) << length;
    }
  }
}

TEST(Wire, refuses_messages_of_another_kind_and_more_slots_than_a_piece_holds) {
  EXPECT_FALSE(decode_hello(bytes_of(encode(piece_of(1)))));
  EXPECT_FALSE(decode_piece(bytes_of(encode(Hello{}))));
  EXPECT_FALSE(decode_welcome(bytes_of(encode(piece_of(1)))));
  EXPECT_FALSE(decode_piece(bytes_of(encode(piece_of(0)))));
  EXPECT_FALSE(decode_piece(bytes_of(encode(piece_of(kMaxSlotsPerPiece + 1)))));
}

TEST(Wire, refuses_claims_of_huge_lengths_at_once) {
  const std::string claims[] = {
      std::string("\xdd\xff\xff\xff\xff", 5),                          // array of 2^32 - 1
      std::string("\x94\x01\x01\xc3\xc6\xff\xff\xff\xff", 9),          // binary of 4 GiB as fourth field
      std::string("\x94\x01\x01\xc3\xdd\xff\xff\xff\xff", 9),          // array inside the array
      std::string("\x94\x01\x01\xc3\xdf\xff\xff\xff\xff", 9),          // map
      std::string("\x94\xdb\xff\xff\xff\xff", 6),                      // string
      std::string("\x94\xc9\xff\xff\xff\xff\x01", 7),                  // extension
      std::string(100'000, '\x91'),                                    // nested beyond any depth
  };
  for (const std::string& claim : claims) {
    EXPECT_FALSE(decode_hello(bytes_of(claim)) || decode_welcome(bytes_of(claim)) || decode_piece(bytes_of(claim)));
  }
}

// Random bytes, and valid messages with random bytes changed: an answer, never a throw. The sanitizers watch the rest.
TEST(Wire, takes_any_bytes) {
  std::mt19937_64 random(11);
  const std::string valid[] = {encode(Hello{1, 2, 3}), encode(Welcome{true, 1, 2, "why"}), encode(piece_of(20))};
  for (int round = 0; round < 200'000; ++round) {
    std::string text;
    if (round % 2 == 0) {
      text.resize(random() % 64);
      for (char& c : text) c = static_cast<char>(random());
    } else {
      text = valid[random() % 3];
      for (int changes = 1 + random() % 3; changes > 0; --changes) text[random() % text.size()] = static_cast<char>(random());
    }
    const auto piece = decode_piece(bytes_of(text));
    if (piece) {
      ASSERT_TRUE(!piece->slots.empty() && piece->slots.size() <= kMaxSlotsPerPiece);
    }
    decode_hello(bytes_of(text));
    decode_welcome(bytes_of(text));
  }
}

}  // namespace
}  // namespace baton::transport
