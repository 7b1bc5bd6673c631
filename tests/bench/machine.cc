#include "tests/bench/machine.h"

#include <sched.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/isa.h"
#include "tests/bench/machine_avx512.h"

namespace baton::bench {
namespace {

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::uint64_t read_all(const std::byte* data, std::size_t bytes) {
  std::uint64_t sums[8] = {};
  for (std::size_t at = 0; at < bytes; at += 64) {
    for (std::size_t i = 0; i < 8; ++i) {
      std::uint64_t value;
      std::memcpy(&value, data + at + i * 8, 8);
      sums[i] += value;
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t one : sums) sum += one;
  return sum;
}

bool has_avx512() { return kernels::isa_present(kernels::Isa::avx512); }

constexpr std::size_t kPeakRounds = 200'000;

}  // namespace

Times measure(const std::function<void()>& work, double budget, int least) {
  Times times;
  work();
  const double begin = cpu_seconds();
  for (double now = begin; now - begin < budget || times.seconds.size() < static_cast<std::size_t>(least);) {
    work();
    const double end = cpu_seconds();
    times.seconds.push_back(end - now);
    now = end;
  }
  std::sort(times.seconds.begin(), times.seconds.end());
  return times;
}

void pin_to_core(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

Times run_int8() {
  if (!has_avx512()) return {{1.0}};
  return measure([] { int8_rounds(kPeakRounds); }, 0.3);
}

Times run_float() {
  if (!has_avx512()) return {{1.0}};
  return measure([] { float_rounds(kPeakRounds); }, 0.3);
}

double peak_int8(const Times& times) { return has_avx512() ? kPeakRounds * kInt8OpsOfRound / times.best() : 0.0; }
double peak_float(const Times& times) { return has_avx512() ? kPeakRounds * kFloatOpsOfRound / times.best() : 0.0; }

ReadBandwidth::ReadBandwidth(std::size_t bytes) : bytes_(bytes / 4096 * 4096) {
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  data_ = static_cast<std::byte*>(std::aligned_alloc(kHuge, (bytes_ + kHuge - 1) / kHuge * kHuge));
  madvise(data_, bytes_, MADV_HUGEPAGE);
  std::memset(data_, 1, bytes_);
}

ReadBandwidth::~ReadBandwidth() { std::free(data_); }

Times ReadBandwidth::run(double budget) {
  volatile std::uint64_t sink = 0;
  if (!has_avx512()) return measure([&] { sink = sink + read_all(data_, bytes_); }, budget);
  Times fastest;
  for (int way = 0; way < kWaysToRead; ++way) {
    Times times = measure([&] { sink = sink + read_all_avx512(data_, bytes_, way); }, budget / kWaysToRead);
    if (fastest.seconds.empty() || times.best() < fastest.best()) fastest = std::move(times);
  }
  return fastest;
}

double ReadBandwidth::per_second(double seconds) const { return static_cast<double>(bytes_) / seconds; }

}  // namespace baton::bench
