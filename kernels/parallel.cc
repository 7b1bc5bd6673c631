#include "kernels/parallel.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "kernels/require.h"

namespace baton::kernels {
namespace {

// The ticket is (generation of the job, next task of it). A thread takes a task by advancing the ticket from the value it read
// before it read the job; had the job changed in between, so had the generation, and the exchange fails.
constexpr unsigned kTaskBits = 24;
constexpr std::uint64_t kTaskMask = (std::uint64_t{1} << kTaskBits) - 1;
constexpr int kSpins = 4000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

struct Parallel::Pool {
  alignas(64) std::atomic<std::uint64_t> ticket{kTaskMask};
  std::atomic<Call> call{nullptr};
  std::atomic<const void*> context{nullptr};
  std::atomic<std::uint64_t> tasks{0};
  alignas(64) std::atomic<std::uint64_t> done{0};       // tasks of the present job that have ended
  alignas(64) std::atomic<std::uint32_t> bell{0};       // rung for a new job; helpers sleep on it
  std::atomic<bool> stop{false};
  std::vector<std::thread> helpers;

  // Runs tasks until none is left to take; false: there was none.
  bool work(unsigned thread) {
    bool worked = false;
    for (;;) {
      std::uint64_t now = ticket.load(std::memory_order_acquire);
      const std::uint64_t total = tasks.load(std::memory_order_acquire);
      const Call run = call.load(std::memory_order_acquire);
      const void* const argument = context.load(std::memory_order_acquire);
      if ((now & kTaskMask) >= total) return worked;
      if (!ticket.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel)) continue;
      run(argument, now & kTaskMask, thread);
      worked = true;
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == total) done.notify_one();
    }
  }

  void help(unsigned thread) {
    for (;;) {
      const std::uint32_t heard = bell.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      bool worked = false;
      for (int spin = 0; spin < kSpins && !worked; ++spin) {
        worked = work(thread);
        pause();
      }
      if (!worked) bell.wait(heard, std::memory_order_acquire);
    }
  }
};

Parallel::Parallel(unsigned threads) : threads_(threads == 0 ? 1 : threads) {
  if (threads_ == 1) return;
  pool_ = std::make_unique<Pool>();
  for (unsigned thread = 1; thread < threads_; ++thread) {
    pool_->helpers.emplace_back([pool = pool_.get(), thread] { pool->help(thread); });
  }
}

Parallel::~Parallel() {
  if (!pool_) return;
  pool_->stop.store(true, std::memory_order_release);
  pool_->bell.fetch_add(1, std::memory_order_release);
  pool_->bell.notify_all();
  for (std::thread& helper : pool_->helpers) helper.join();
}

void Parallel::run_erased(std::size_t tasks, Call call, const void* context) {
  if (!pool_ || tasks < 2) {
    for (std::size_t task = 0; task < tasks; ++task) call(context, task, 0);
    return;
  }
  BATON_REQUIRE(tasks < kTaskMask, "a job has fewer than 2^24 tasks: give each task a range");
  Pool& pool = *pool_;
  const std::uint64_t generation = (pool.ticket.load(std::memory_order_relaxed) >> kTaskBits) + 1;
  pool.ticket.store(generation << kTaskBits | kTaskMask, std::memory_order_release);   // closed while the job is written
  pool.call.store(call, std::memory_order_release);
  pool.context.store(context, std::memory_order_release);
  pool.tasks.store(tasks, std::memory_order_release);
  pool.done.store(0, std::memory_order_relaxed);
  pool.ticket.store(generation << kTaskBits, std::memory_order_release);
  pool.bell.fetch_add(1, std::memory_order_release);
  pool.bell.notify_all();

  pool.work(0);
  for (int spin = 0; spin < kSpins && pool.done.load(std::memory_order_acquire) != tasks; ++spin) pause();
  for (std::uint64_t done; (done = pool.done.load(std::memory_order_acquire)) != tasks;) {
    pool.done.wait(done, std::memory_order_acquire);
  }
}

}  // namespace baton::kernels
