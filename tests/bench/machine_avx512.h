// The loops of machine.cc that need AVX-512.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton::bench {

inline constexpr double kInt8OpsOfRound = 12 * 64 * 2;
inline constexpr double kFloatOpsOfRound = 12 * 16 * 2;
void int8_rounds(std::size_t rounds);
void float_rounds(std::size_t rounds);
inline constexpr int kWaysToRead = 4;   // one stream, one with prefetch, two streams, eight: which is fastest differs by machine
std::uint64_t read_all_avx512(const std::byte* data, std::size_t bytes, int way);   // bytes: a multiple of 4096

}  // namespace baton::bench
