// Random numbers that are functions of their key, never of a stream: draw(seed, a, b) is the same on every node and in every
// order of asking. Used for sampling (seed, choice, absolute position), jitter and power-of-two choices.
#pragma once

#include <cstdint>

namespace baton {

constexpr std::uint64_t mix64(std::uint64_t x) {   // splitmix64's finaliser
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

constexpr std::uint64_t draw64(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0) {
  return mix64(mix64(mix64(seed) ^ a) ^ (b * 0xd6e8feb86659fd93u));
}

// Uniform in [0, 1): 53 bits, exact in double on every machine.
constexpr double draw_unit(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0) {
  return static_cast<double>(draw64(seed, a, b) >> 11) * 0x1.0p-53;
}

// A seeded generator for a core's own choices; copyable, so that a state machine with one can be replayed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t next() { return draw64(seed_, counter_++); }
  std::uint64_t below(std::uint64_t bound) {       // uniform in [0, bound), bound > 0; multiply-shift
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
};

}  // namespace baton
