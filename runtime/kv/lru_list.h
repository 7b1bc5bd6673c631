// Blocks in the order in which they became unused; a doubly linked list threaded through arrays, so that every operation is
// O(1) and nothing is allocated after construction.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/ids.h"

namespace baton {

class LruList {
 public:
  explicit LruList(std::uint32_t blocks) : end_(blocks), next_(blocks + 1, kAbsent), previous_(blocks + 1, kAbsent) {
    next_[end_] = previous_[end_] = end_;
  }

  bool contains(BlockId block) const { return next_[block.value] != kAbsent; }
  std::uint32_t size() const { return size_; }
  std::optional<BlockId> oldest() const { return size_ == 0 ? std::nullopt : std::optional{BlockId{next_[end_]}}; }

  void push_newest(BlockId block) {
    CHECK(!contains(block), "block {} is listed already", block.value);
    const std::uint32_t last = previous_[end_];
    next_[last] = previous_[end_] = block.value;
    next_[block.value] = end_;
    previous_[block.value] = last;
    ++size_;
  }

  void remove(BlockId block) {
    CHECK(contains(block), "block {} is not listed", block.value);
    next_[previous_[block.value]] = next_[block.value];
    previous_[next_[block.value]] = previous_[block.value];
    next_[block.value] = previous_[block.value] = kAbsent;
    --size_;
  }

 private:
  static constexpr std::uint32_t kAbsent = 0xffffffff;
  std::uint32_t end_;                      // the sentinel's index
  std::uint32_t size_ = 0;
  std::vector<std::uint32_t> next_, previous_;
};

}  // namespace baton
