// Blocks by rank, lowest first: a binary heap that knows where each block is, so that a block's rank can change and a block can
// leave from anywhere, in O(log blocks). Nothing is allocated after construction.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/ids.h"

namespace baton {

class BlockHeap {
 public:
  struct Rank {
    std::uint64_t major = 0;
    std::uint64_t minor = 0;
    auto operator<=>(const Rank&) const = default;
  };

  explicit BlockHeap(std::uint32_t blocks) : place_(blocks, kAbsent) { heap_.reserve(blocks); }

  bool contains(BlockId block) const { return place_[block.value] != kAbsent; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(heap_.size()); }
  std::optional<BlockId> lowest() const { return heap_.empty() ? std::nullopt : std::optional{BlockId{heap_.front().block}}; }

  void insert(BlockId block, Rank rank) {
    CHECK(!contains(block), "block {} is ranked already", block.value);
    heap_.push_back({rank, block.value});
    rise(size() - 1);
  }
  void change(BlockId block, Rank rank) {
    CHECK(contains(block), "block {} is not ranked", block.value);
    put({rank, block.value}, place_[block.value]);
  }
  void remove(BlockId block) {
    CHECK(contains(block), "block {} is not ranked", block.value);
    const std::uint32_t hole = place_[block.value];
    place_[block.value] = kAbsent;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (hole < size()) put(last, hole);
  }

 private:
  struct Entry {
    Rank rank;
    std::uint32_t block;
  };
  static constexpr std::uint32_t kAbsent = 0xffffffff;

  void put(const Entry& entry, std::uint32_t at) {
    heap_[at] = entry;
    rise(at);
    sink(place_[entry.block]);
  }
  void rise(std::uint32_t at) {
    const Entry entry = heap_[at];
    for (; at > 0 && entry.rank < heap_[(at - 1) / 2].rank; at = (at - 1) / 2) settle(heap_[(at - 1) / 2], at);
    settle(entry, at);
  }
  void sink(std::uint32_t at) {
    const Entry entry = heap_[at];
    for (std::uint32_t child; (child = 2 * at + 1) < size(); at = child) {
      if (child + 1 < size() && heap_[child + 1].rank < heap_[child].rank) ++child;
      if (entry.rank <= heap_[child].rank) break;
      settle(heap_[child], at);
    }
    settle(entry, at);
  }
  void settle(const Entry& entry, std::uint32_t at) {
    heap_[at] = entry;
    place_[entry.block] = at;
  }

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> place_;       // by block
};

}  // namespace baton
