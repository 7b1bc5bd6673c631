// The links over which KV moves between instances. Each instance has one, with a bandwidth out and one in; the transfers under way share
// them by max-min fairness: all grow at one rate until a link is full, those over it stay at their share, the others go on growing
// (progressive filling). Shares are worked out anew whenever a transfer starts or ends. What lies between the links is never full.
//
//   0 ──► 2       both into 2, 10 bytes/s in: 5 each; what 0 has left of its egress goes to 0 ──► 3
//   1 ──► 2
//
// Bytes of a transfer leave the sender from start to end; they arrive one latency later. Times are rounded up to nanoseconds.
// Thread: none. Cost of a change: links used times transfers under way.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/time.h"

namespace baton::sim {

class Network {
 public:
  struct Link {
    double egress = 0;                     // bytes/s, more than 0
    double ingress = 0;
  };
  using Endpoint = std::uint32_t;          // index of a link
  using Flow = std::uint64_t;              // the caller's name of a transfer, not under way twice

  explicit Network(std::vector<Link> links) : links_(std::move(links)) {}

  void start(Flow flow, Endpoint from, Endpoint to, double bytes, Instant now);        // from != to
  void cancel(Flow flow, Instant now);     // unknown ones are passed over
  // When the first of those under way ends, if nothing else starts or ends before.
  std::optional<Instant> next_end() const;
  // Those that end by `now`, in the order in which they started; valid until the next call.
  const std::vector<Flow>& take_ended(Instant now);

  std::size_t under_way() const { return flows_.size(); }
  double rate(Flow flow) const;            // bytes/s at present; 0 for an unknown one
  double bytes_moved() const { return moved_; }

 private:
  struct Moving {
    Flow flow = 0;
    Endpoint from = 0, to = 0;
    double left = 0;                       // bytes, as of now_
    double rate = 0;
    Instant ends;
    bool fixed = false;                    // its rate is found, while shares are worked out
  };
  struct Side {                            // one direction of a link, while shares are worked out
    double room = 0;
    std::uint32_t open = 0;                // transfers over it whose rate is not found yet
  };

  void advance(Instant now);
  void share();
  Side& side(Endpoint endpoint, bool ingress) { return sides_[2 * endpoint + (ingress ? 1 : 0)]; }

  std::vector<Link> links_;
  std::vector<Moving> flows_;              // in order of their start
  std::vector<Side> sides_;                // two for each link: out, in
  std::vector<Flow> ended_;
  Instant now_;
  double moved_ = 0;
};

}  // namespace baton::sim
