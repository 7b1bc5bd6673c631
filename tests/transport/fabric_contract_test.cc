// The contract of Fabric, run on every implementation.
#include <gtest/gtest.h>

#include <numeric>

#include "tests/transport/fabric_world.h"
#include "tests/transport/slot_arena.h"
#include "transport/digest.h"

namespace baton::transport {
namespace {

constexpr std::int64_t kLong = 60'000'000'000;

template <class World>
class FabricContract : public ::testing::Test {
 protected:
  World world;

  // `shape` slots granted by `to` under `transfer`, sent by `from`, waited for on both sides.
  void move_all(FabricNode& from, FabricNode& to, Transfer transfer, SlotArena& source, SlotArena& target, std::uint32_t slots) {
    to->grant({transfer, from.id, target.all(), kLong});
    from->send(to.id, transfer, source.to_send());
    from->close_sends(transfer);
    ASSERT_TRUE(world.until([&] { return to.heard.landed_of(transfer) == slots && from.heard.sends_complete.count(transfer) == 1; }));
  }
};

struct WorldNames {
  template <class World>
  static std::string GetName(int) { return World::kName; }
};
using Worlds = ::testing::Types<UcxWorld>;
TYPED_TEST_SUITE(FabricContract, Worlds, WorldNames);

TYPED_TEST(FabricContract, lands_what_was_sent_with_its_digest) {
  auto p = this->world.node(1), d = this->world.node(2);
  p->connect_to(*d);
  const SlotShape shapes[] = {
      {.slots = 1, .run_bytes = 64, .stride_bytes = 64, .runs = 1},
      {.slots = 3, .run_bytes = 12288, .stride_bytes = 12288, .runs = 1},
      {.slots = 700, .run_bytes = 100, .stride_bytes = 100, .runs = 1},
      {.slots = 40, .run_bytes = 640, .stride_bytes = 2048, .runs = 6},
      {.slots = 5, .run_bytes = 2 << 20, .stride_bytes = 2 << 20, .runs = 1},
      {.slots = 2, .run_bytes = 5'000'000, .stride_bytes = 5'000'000, .runs = 1},
      {.slots = 2, .run_bytes = 70'000, .stride_bytes = 70'016, .runs = 61},
  };
  Transfer transfer = 100;
  for (const SlotShape& shape : shapes) {
    SCOPED_TRACE(testing::Message() << shape.slots << " slots of " << shape.runs << " x " << shape.run_bytes);
    SlotArena source(shape), target(shape);
    source.fill(++transfer);
    this->move_all(*p, *d, transfer, source, target, shape.slots);
    for (std::uint32_t i = 0; i < shape.slots; ++i) {
      ASSERT_EQ(target.content(i), source.content(i)) << "slot " << i;
      ASSERT_EQ(d->heard.landed[transfer][i], slot_digest(source.slot(i))) << "slot " << i;
    }
    EXPECT_TRUE(target.guards_intact());
  }
}

}  // namespace
}  // namespace baton::transport
