// The contract of Fabric as a typed suite: a file of cases names it after itself, and it runs on every implementation.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/transport/fabric_world.h"
#include "tests/transport/slot_arena.h"

namespace baton::transport {

inline constexpr std::int64_t kLong = 60'000'000'000;
inline constexpr std::int64_t kShort = 50'000'000;
inline constexpr SlotShape kBlocks{.slots = 20, .run_bytes = 12288, .stride_bytes = 12288, .runs = 1};

template <class World>
class FabricContract : public ::testing::Test {
 protected:
  World world;

  // Until all of `slots` landed at `to` and `from` has the memory back.
  void move_all(FabricNode& from, FabricNode& to, Transfer transfer, SlotArena& source, SlotArena& target) {
    to->grant({transfer, from.id, target.all(), kLong});
    from->send(to.id, transfer, source.to_send());
    from->close_sends(transfer);
    ASSERT_TRUE(landed(to, transfer, target.all().size()));
    ASSERT_TRUE(complete(from, transfer));
  }
  bool landed(FabricNode& at, Transfer transfer, std::size_t slots) {
    return world.until([&] { return at.heard.landed_of(transfer) == slots; });
  }
  bool complete(FabricNode& at, Transfer transfer) {
    return world.until([&] { return at.heard.sends_complete.contains(transfer); });
  }
  bool rejections(FabricNode& at, std::size_t count) {
    return world.until([&] { return at.heard.rejected.size() == count; });
  }
  std::vector<bool> completions(FabricNode& at, Transfer transfer) {
    return world.look([&] { return at.heard.sends_complete[transfer]; });
  }
};

struct WorldNames {
  template <class World>
  static std::string GetName(int) { return World::kName; }
};
using Worlds = ::testing::Types<UcxWorld, FakeWorld>;

}  // namespace baton::transport
