// Does anybody answer at host:port? Asked before every dial, because CAF's own connect blocks for minutes on a host that drops
// packets, and with it every other dial and publish of the process.
//
// One thread for all probes; each has its own deadline. Names are resolved on that thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

class ConnectProbe {
 public:
  using Done = std::function<void(Status)>;      // called on the probe's thread; peer_unreachable says why

  ConnectProbe();
  ~ConnectProbe();                               // pending probes are dropped without an answer
  ConnectProbe(const ConnectProbe&) = delete;

  // Ends the thread: nothing is answered any more. The destructor does it, too; but it must not run on the probe's thread.
  void stop();
  void probe(const std::string& host, std::uint16_t port, Duration deadline, Done done);   // from any thread

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton
