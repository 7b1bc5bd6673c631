// What this machine can do at most, measured, and how a benchmark measures against it. Times are CPU seconds of the calling thread:
// on a shared machine the wall clock also counts what others did.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace baton::bench {

// Seconds that runs took, sorted.
struct Times {
  std::vector<double> seconds;
  double best() const { return seconds.front(); }
  double median() const { return seconds[seconds.size() / 2]; }
};

// Runs `work` again and again for about `budget` seconds of CPU time, at least `least` times.
Times measure(const std::function<void()>& work, double budget = 1.0, int least = 5);

void pin_to_core(int core);   // the calling thread; without effect where that is not allowed

// Operations (a multiply and an add are two) or bytes per second of one thread; 0 where the CPU lacks the instructions.
double peak_int8(const Times& times);
double peak_float(const Times& times);
Times run_int8();             // VPDPBUSD on 512 bits
Times run_float();            // FMA on 512 bits

// Reads `bytes` from memory, as fast as one thread can, over and over, in several ways: the times are those of the best way.
class ReadBandwidth {
 public:
  explicit ReadBandwidth(std::size_t bytes);
  ~ReadBandwidth();
  Times run(double budget = 1.0);
  double per_second(double seconds) const;

 private:
  std::byte* data_;
  std::size_t bytes_;
};

}  // namespace baton::bench
