// The order of events in SplitwiseSim, to the letter. Its queue is Python's heapq, ordered by time alone: of events at the same
// instant the one that the heap's shape brings up comes first, not the one pushed first. So the heap is rebuilt here with the same
// sift rules, and a cancelled event stays in it until it comes up. Source: the algorithm of Python's heapq.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace baton::sim::splitwise {

enum class EventKind : std::uint8_t { arrival, iteration_end, transfer_end, transfer_retry };

struct Event {
  double time = 0;                         // seconds
  EventKind kind = EventKind::arrival;
  std::uint32_t target = 0;                // iteration_end: a machine; else a request
  std::uint32_t serial = 0;                // iteration_end: stale unless it is the machine's current one
};

class EventHeap {
 public:
  bool empty() const { return heap_.empty(); }
  void reserve(std::size_t events) { heap_.reserve(events); }

  void push(const Event& event) {
    heap_.push_back(event);
    rise(0, heap_.size() - 1);
  }

  Event pop() {
    const Event last = heap_.back();
    heap_.pop_back();
    if (heap_.empty()) return last;
    const Event first = heap_.front();
    heap_.front() = last;
    sink_and_rise();
    return first;
  }

 private:
  void rise(std::size_t floor, std::size_t place) {
    const Event event = heap_[place];
    while (place > floor) {
      const std::size_t parent = (place - 1) / 2;
      if (!(event.time < heap_[parent].time)) break;
      heap_[place] = heap_[parent];
      place = parent;
    }
    heap_[place] = event;
  }

  // The root goes down to a leaf along the smaller children (the right one of equals), and up again from there.
  void sink_and_rise() {
    const std::size_t size = heap_.size();
    const Event event = heap_[0];
    std::size_t place = 0;
    while (place < size / 2) {
      std::size_t child = 2 * place + 1;
      if (child + 1 < size && !(heap_[child].time < heap_[child + 1].time)) ++child;
      heap_[place] = heap_[child];
      place = child;
    }
    heap_[place] = event;
    rise(0, place);
  }

  std::vector<Event> heap_;
};

// a // b for floats as Python has it, b > 0: by the remainder, so that it is not always floor(a / b).
inline double floor_divide(double a, double b) {
  double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder < 0) {
    remainder += b;
    quotient -= 1.0;
  }
  if (quotient == 0) return 0.0;
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1.0 : floor;
}

}  // namespace baton::sim::splitwise
