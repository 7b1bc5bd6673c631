// The inside of FakeHub: the event queue in virtual time, and the fabrics by id.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transport/clock.h"
#include "transport/fake_fabric.h"

namespace baton::transport {

class FakeFabric;

class FakeHub::State {
 public:
  State(const FakeHub& hub, Options options) : hub(hub), options(options) {}

  // `event` runs at `peer` in `delay_ns`, unless it is gone by then. Events due at one time run in the order of posting.
  void post(PeerId peer, std::int64_t delay_ns, std::function<void(FakeFabric&)> event);
  bool step();
  void advance(std::int64_t ns);
  void thaw(PeerId peer);
  FakeFabric* find(PeerId peer) const;

  const FakeHub& hub;
  const Options options;
  std::int64_t now = 0;
  std::uint64_t lives = 0;             // fabrics ever opened
  std::map<PeerId, FakeFabric*> fabrics;
  std::set<PeerId> frozen;

 private:
  struct Event {
    PeerId peer = 0;
    std::uint64_t life = 0;            // of the fabric it was meant for: an id may be opened anew
    std::function<void(FakeFabric&)> run;
  };
  using When = std::pair<std::int64_t, std::uint64_t>;
  std::int64_t next_deadline() const;
  void expire();

  std::map<When, Event> events_;
  std::map<PeerId, std::vector<Event>> held_;                // of frozen ones
  std::uint64_t posted_ = 0;
};

}  // namespace baton::transport
