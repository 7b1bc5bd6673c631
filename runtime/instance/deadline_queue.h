// Every wait of an instance, by what is waited for, so that one timer serves them all. Setting a wait again moves it.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"

namespace baton {

enum class Wait : std::uint8_t {
  request,    // the client's deadline
  lease,      // P: the receiver's next renewal
  renewal,    // D: the time to renew
  partner,    // D: the other half of Offer and DecodeRequest
  transfer,   // D: the blocks
  reserve,    // D: room for a push
  report,     // the next LoadReport; request 0
};

struct WaitKey {
  Wait wait = Wait::request;
  RequestId request;
  auto operator<=>(const WaitKey&) const = default;
};

class DeadlineQueue {
 public:
  void set(Wait wait, RequestId request, Instant at) {
    clear(wait, request);
    by_key_.emplace(WaitKey{wait, request}, at);
    by_time_.emplace(at, WaitKey{wait, request});
  }

  void clear(Wait wait, RequestId request) {
    const auto found = by_key_.find({wait, request});
    if (found == by_key_.end()) return;
    by_time_.erase({found->second, found->first});
    by_key_.erase(found);
  }

  void clear_all(RequestId request) {
    for (const Wait wait : {Wait::request, Wait::lease, Wait::renewal, Wait::partner, Wait::transfer, Wait::reserve}) {
      clear(wait, request);
    }
  }

  bool waits(Wait wait, RequestId request) const { return by_key_.contains({wait, request}); }
  std::optional<Instant> when(Wait wait, RequestId request) const {
    const auto found = by_key_.find({wait, request});
    return found == by_key_.end() ? std::nullopt : std::optional{found->second};
  }
  std::optional<Instant> next() const {
    return by_time_.empty() ? std::nullopt : std::optional{by_time_.begin()->first};
  }

  std::optional<WaitKey> pop_due(Instant now) {
    if (by_time_.empty() || by_time_.begin()->first > now) return std::nullopt;
    const WaitKey key = by_time_.begin()->second;
    clear(key.wait, key.request);
    return key;
  }

 private:
  std::map<WaitKey, Instant> by_key_;
  std::set<std::pair<Instant, WaitKey>> by_time_;
};

}  // namespace baton
