// Fabrics of one process, without a network: what UcxFabric promises, moved one event at a time and in virtual time by whoever owns
// the hub, with faults. The same GrantTable and SendBook decide; only the way between them is simulated.
//
//   fabrics ──commands, pieces, completions──► hub: ordered by (when due, order of posting) ──step()──► fabrics, their listeners
//
// Deterministic: the same calls give the same events. Thread: one; listeners are called inside step() and advance() only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "transport/fabric.h"

namespace baton::transport {

// What becomes of one piece on its way. Defaults: arrives at once, once, as sent.
struct FakeFault {
  bool drop = false;                   // lost; its sender believes that it arrived
  bool corrupt = false;                // one bit of its bytes (of its first digest, when no bytes move) is flipped
  int duplicates = 0;                  // arrives that many times more
  std::int64_t delay_ns = 0;           // later pieces may overtake it
};

struct FakePiece {
  PeerId from = 0;
  PeerId to = 0;
  Transfer transfer = 0;
  std::uint64_t piece = 0;             // counts the pieces of its sender, from 1
  std::size_t bytes = 0;
};

class FakeHub {
 public:
  struct Options {
    bool move_bytes = true;            // false: memory is never looked at, and a slot's digest is its digest seed
    int pieces_in_flight = 8;          // of one sender to one receiver
  };
  FakeHub();
  explicit FakeHub(Options options);
  ~FakeHub();                          // after its fabrics

  // Its address is "fake:" and its PeerId. A destroyed fabric looks to its peers like a process that died.
  std::unique_ptr<Fabric> open(FabricOptions options, FabricListener* listener);

  // Asked once for each piece, when it leaves. None: no faults.
  std::function<FakeFault(const FakePiece&)> fault;

  bool step();                         // the next event that is due; false when none is
  void run();                          // until none is
  void advance(std::int64_t ns);       // virtual time: runs what falls due on the way, in order, deadlines included
  std::int64_t now_ns() const;

  void freeze(PeerId peer);            // it neither receives nor notices anything until thaw(); others do not notice either
  void thaw(PeerId peer);
  void cut(PeerId a, PeerId b);        // their connections break; both notice

  class State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace baton::transport
