// A FIFO of numbers in a ring that grows: the requests that a stage of a simulated pipeline has waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace baton::sim {

class NumberQueue {
 public:
  bool empty() const { return head_ == tail_; }
  std::size_t size() const { return tail_ - head_; }
  std::uint32_t front() const { return ring_[head_ & mask_]; }
  void pop() { ++head_; }
  void push(std::uint32_t number) {
    if (size() == ring_.size()) grow();
    ring_[tail_++ & mask_] = number;
  }
  void clear() { head_ = tail_ = 0; }

 private:
  void grow() {
    std::vector<std::uint32_t> larger(ring_.size() * 2);
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) larger[i] = ring_[(head_ + i) & mask_];
    ring_ = std::move(larger);
    mask_ = ring_.size() - 1;
    head_ = 0;
    tail_ = count;
  }

  std::vector<std::uint32_t> ring_ = std::vector<std::uint32_t>(64);     // a power of two
  std::size_t mask_ = 63;
  std::size_t head_ = 0, tail_ = 0;                                      // count up; their low bits are places
};

}  // namespace baton::sim
