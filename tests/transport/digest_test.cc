#include "transport/digest.h"

#include <gtest/gtest.h>

#include "tests/transport/slot_arena.h"

namespace baton::transport {
namespace {

// XXH3-64 with a seed is a published function: these are its values, so that another implementation of the digest agrees.
TEST(Digest, is_xxh3_64_with_the_seed) {
  EXPECT_EQ(range_digest(nullptr, 0, 0, 0, 0), 0x2d06800538d394c2u);
  const std::string text = "a";
  EXPECT_EQ(range_digest(reinterpret_cast<const std::byte*>(text.data()), 1, 0, 0, 1), 0xe6c632b61e964e1fu);
}

TEST(Digest, does_not_depend_on_how_the_slot_lies_in_memory) {
  const SlotShape shapes[] = {{.run_bytes = 6000, .stride_bytes = 6000, .runs = 1},
                              {.run_bytes = 600, .stride_bytes = 600, .runs = 10},
                              {.run_bytes = 100, .stride_bytes = 160, .runs = 60},
                              {.run_bytes = 1, .stride_bytes = 2, .runs = 6000}};
  std::vector<std::byte> content(6000);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * i);
  for (const SlotShape& shape : shapes) {
    SlotArena arena(shape);
    SlotMemory slot = arena.slot(0);
    scatter(slot, 0, content.size(), content.data());
    EXPECT_EQ(slot_digest(slot), range_digest(content.data(), content.size(), slot.digest_seed, 0, content.size()));
    EXPECT_TRUE(arena.guards_intact());
  }
}

TEST(Digest, is_bound_to_seed_and_place) {
  std::vector<std::byte> bytes(8192);
  const auto digest = [&](std::uint64_t seed, std::size_t offset, std::size_t of) {
    return range_digest(bytes.data(), 4096, seed, offset, of);
  };
  EXPECT_NE(digest(1, 0, 4096), digest(2, 0, 4096));
  EXPECT_NE(digest(1, 0, 8192), digest(1, 4096, 8192));
  EXPECT_NE(digest(1, 0, 4096), digest(1, 0, 8192));         // a whole slot is no fragment
}

TEST(SlotMemory, any_range_gathers_what_was_scattered) {
  SlotArena arena({.run_bytes = 7, .stride_bytes = 11, .runs = 9});
  const SlotMemory slot = arena.slot(0);
  std::vector<std::byte> content(slot.bytes());
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i + 1);
  for (std::size_t cut = 0; cut <= content.size(); ++cut) {
    scatter(slot, 0, cut, content.data());
    scatter(slot, cut, content.size() - cut, content.data() + cut);
    for (std::size_t from = 0; from <= cut; ++from) {
      std::vector<std::byte> part(cut - from);
      gather(slot, from, part.size(), part.data());
      ASSERT_TRUE(std::equal(part.begin(), part.end(), content.begin() + from));
    }
  }
  EXPECT_TRUE(arena.guards_intact());
}

}  // namespace
}  // namespace baton::transport
