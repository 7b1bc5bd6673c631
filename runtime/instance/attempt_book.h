// Which attempt at which request lives here, and which are over. The rule of epochs: an attempt older than one that lives or
// that ended is stale and ignored; a newer one supersedes. Ended ones are remembered, so that a late message does not raise
// the dead; the memory is bounded, oldest forgotten first, and a forgotten one costs at most a wait that ends by its
// deadline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "runtime/base/ids.h"

namespace baton {

enum class Stage : std::uint8_t {
  computing,   // its sequences wait or run (sequence_set.h)
  holding,     // P: prefilled, leased to D (hand_off_source.h)
  inbound,     // D: its KV is awaited or moving (hand_off_sink.h)
};

struct Attempt {
  Epoch epoch;
  InstanceRef gateway;             // zero until a message that names it came
  Stage stage = Stage::computing;
  std::uint64_t age = 0;           // of its sequences, and its place in the queues; smaller is older
};

class AttemptBook {
 public:
  static constexpr std::size_t kRemembered = 16384;

  bool stale(const RequestKey& key) const;                 // older than what lives here, or over
  Attempt* find(RequestId request);                        // whatever its epoch
  Attempt* find(const RequestKey& key);                    // of just this epoch
  const std::map<RequestId, Attempt>& live() const { return live_; }

  Attempt& begin(const RequestKey& key, InstanceRef gateway, Stage stage);      // none of this request may live
  void end(const RequestKey& key);                         // whether or not it lives; remembered from now on
  void forget(RequestId request) { live_.erase(request); } // without a memory: it may come again
  std::uint64_t next_age() { return ++ages_; }

 private:
  std::map<RequestId, Attempt> live_;
  std::map<RequestId, Epoch> ended_;
  std::deque<RequestId> ended_order_;
  std::uint64_t ages_ = 0;
};

}  // namespace baton
