#include "kernels/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "kernels/memory.h"

namespace baton::kernels {
namespace {

TEST(Parallel, runs_every_task_once_and_its_writes_are_seen) {
  for (const unsigned threads : {1u, 2u, 3u, 8u}) {
    Parallel parallel{threads};
    EXPECT_EQ(parallel.threads(), threads);
    for (std::size_t tasks = 0; tasks < 200; ++tasks) {
      std::vector<int> runs(tasks, 0);
      std::atomic<unsigned> strangers{0};
      parallel.run(tasks, [&](std::size_t task, unsigned thread) {
        ++runs[task];
        if (thread >= threads) ++strangers;
      });
      ASSERT_EQ(runs, std::vector<int>(tasks, 1)) << threads;
      ASSERT_EQ(strangers, 0u);
    }
  }
}

TEST(Parallel, no_two_tasks_share_a_thread_number_at_a_time) {
  Parallel parallel{4};
  std::vector<std::atomic<int>> busy(4);
  std::atomic<int> clashes{0};
  for (int job = 0; job < 2000; ++job) {
    parallel.run(16, [&](std::size_t, unsigned thread) {
      if (busy[thread].fetch_add(1) != 0) ++clashes;
      busy[thread].fetch_sub(1);
    });
  }
  EXPECT_EQ(clashes, 0);
}

TEST(Parallel, jobs_that_follow_at_once_do_not_mix) {
  Parallel parallel{3};
  std::uint64_t sum = 0;
  for (std::uint64_t job = 0; job < 20000; ++job) {
    std::uint64_t parts[3] = {};
    parallel.run(3, [&](std::size_t task, unsigned) { parts[task] = job + task; });
    sum += parts[0] + parts[1] + parts[2];
  }
  EXPECT_EQ(sum, 3ull * (19999ull * 20000ull / 2) + 3ull * 20000ull);
}

TEST(Parallel, can_be_made_and_dropped_without_a_job) {
  for (int i = 0; i < 50; ++i) Parallel parallel{4};
}

TEST(Parallel, takes_no_cpu_time_while_idle) {
  Parallel parallel{4};
  parallel.run(64, [](std::size_t, unsigned) {});
  const auto used = [] {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec * 1e6 + static_cast<double>(usage.ru_utime.tv_usec) + usage.ru_stime.tv_sec * 1e6 +
           static_cast<double>(usage.ru_stime.tv_usec);
  };
  const double before = used();
  const timespec half_a_second{0, 500'000'000};   // the time over which idleness is measured, not a wait for anything
  nanosleep(&half_a_second, nullptr);
  EXPECT_LT(used() - before, 25'000.0) << "microseconds: three spinning helpers would use 1,500,000";
}

TEST(Arena, hands_out_aligned_zeroed_parts_that_do_not_overlap) {
  auto arena = Arena::allocate(std::size_t{5} << 20);
  ASSERT_TRUE(arena);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena->data()) % (std::size_t{2} << 20), 0u);
  std::byte* const first = arena->take(100);
  std::byte* const second = arena->take(1, 4096);
  std::byte* const third = arena->take(arena->size() - 4096 - 64);
  EXPECT_EQ(first, arena->data());
  EXPECT_EQ(second, arena->data() + 4096);
  EXPECT_GT(third, second);
  for (std::size_t at = 0; at < arena->size(); at += 997) ASSERT_EQ(arena->data()[at], std::byte{0});
  EXPECT_DEATH(arena->take(1), "sized for all");
}

TEST(Arena, says_that_there_is_no_such_memory) { EXPECT_FALSE(Arena::allocate(std::size_t{1} << 62)); }

}  // namespace
}  // namespace baton::kernels
