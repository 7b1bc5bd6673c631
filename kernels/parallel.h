// The threads that share one instance's compute: the calling thread and threads() - 1 helpers, which run the tasks of one job at a time.
//
// Which thread runs a task and in which order is left to chance; so tasks write disjoint outputs and no result depends on it.
// A helper that sleeps or is slow to wake is not waited for: it simply takes no task, and the caller runs them all.
// Helpers spin for some tens of microseconds after a job, since a model's next operator follows at once, then sleep: idle costs nothing.
// Thread: run() is called from one thread at a time and not from inside a task.
#pragma once

#include <cstddef>
#include <memory>

namespace baton::kernels {

class Parallel {
 public:
  explicit Parallel(unsigned threads = 1);   // the caller included; 0 counts as 1
  ~Parallel();
  Parallel(const Parallel&) = delete;
  Parallel& operator=(const Parallel&) = delete;

  unsigned threads() const { return threads_; }

  // Calls work(task, thread) for every task in [0, tasks), 0 <= thread < threads(); returns when all are done, and then everything
  // they wrote is visible to the caller. `work` must not throw.
  template <class Work>
  void run(std::size_t tasks, const Work& work) {
    run_erased(tasks, [](const void* context, std::size_t task, unsigned thread) { (*static_cast<const Work*>(context))(task, thread); },
               &work);
  }

 private:
  using Call = void (*)(const void* context, std::size_t task, unsigned thread);
  struct Pool;

  void run_erased(std::size_t tasks, Call call, const void* context);

  unsigned threads_;
  std::unique_ptr<Pool> pool_;   // none when threads() == 1
};

}  // namespace baton::kernels
