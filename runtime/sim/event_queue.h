// What is still to happen in virtual time: a binary heap ordered by time, and among equal times by the order of entry, so that a run
// is a function of its input. Events are small values in one array; adding one allocates only when the array grows.
//
// Thread: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/time.h"

namespace baton::sim {

template <class Event>
class EventQueue {
 public:
  struct Entry {
    Instant at;
    std::uint64_t order = 0;
    Event event;
  };

  void add(Instant at, Event event) {
    heap_.push_back({at, added_++, event});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  Instant next() const {
    CHECK(!heap_.empty(), "nothing is to happen");
    return heap_.front().at;
  }
  Entry take() {
    CHECK(!heap_.empty(), "nothing is to happen");
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    return entry;
  }

 private:
  static bool later(const Entry& a, const Entry& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }

  std::vector<Entry> heap_;
  std::uint64_t added_ = 0;
};

}  // namespace baton::sim
