// Expected orders and quotients were made with Python's heapq and //.
#include "runtime/sim/compat/splitwise_events.h"

#include <gtest/gtest.h>

namespace baton::test::splitwise {
namespace {

using namespace sim::splitwise;

std::vector<std::uint32_t> popped(EventHeap& heap, std::size_t count) {
  std::vector<std::uint32_t> targets;
  while (count-- > 0) targets.push_back(heap.pop().target);
  return targets;
}

TEST(SplitwiseEventHeap, brings_up_equal_times_as_heapq_does) {
  EventHeap heap;
  for (std::uint32_t i = 0; i < 7; ++i) heap.push({.time = 1, .target = i});
  EXPECT_EQ(popped(heap, 7), (std::vector<std::uint32_t>{0, 2, 5, 6, 4, 1, 3}));
  EXPECT_TRUE(heap.empty());
}

TEST(SplitwiseEventHeap, keeps_heapqs_shape_when_pushes_and_pops_alternate) {
  EventHeap heap;
  std::uint32_t target = 0;
  for (const double time : {3, 1, 2, 1, 3, 2, 1, 2, 3, 1}) heap.push({.time = time, .target = target++});
  EXPECT_EQ(popped(heap, 4), (std::vector<std::uint32_t>{1, 6, 3, 9}));
  for (const double time : {2, 2, 1}) heap.push({.time = time, .target = target++});
  EXPECT_EQ(popped(heap, 9), (std::vector<std::uint32_t>{12, 5, 10, 11, 2, 7, 4, 0, 8}));
}

TEST(SplitwiseFloorDivide, rounds_as_python_does) {
  EXPECT_EQ(floor_divide(1.0, 0.1), 9.0);      // although 1.0 / 0.1 is 10
  EXPECT_EQ(floor_divide(0.3, 0.1), 2.0);
  EXPECT_EQ(floor_divide(0.6, 0.2), 2.0);
  EXPECT_EQ(floor_divide(1.1, 0.1), 11.0);
  EXPECT_EQ(floor_divide(4.5, 1.5), 3.0);
  EXPECT_EQ(floor_divide(7.0, 2.0), 3.0);
  EXPECT_EQ(floor_divide(0.0, 0.035), 0.0);
  EXPECT_EQ(floor_divide(-1e-17, 0.035), -1.0);
}

}  // namespace
}  // namespace baton::test::splitwise
