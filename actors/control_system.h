// The control plane of one process: CAF's actor system over mutual TLS, with every message type registered, heartbeats on, and a
// self-test passed before anything is published. Private to actors/*.cc.
#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman_actor.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "actors/keys.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

struct ControlOptions {
  std::optional<KeyFiles> keys;          // nothing: no TLS, which only --insecure may ask for
  Duration heartbeat = Milliseconds{200};
  Duration timeout = Milliseconds{2500};        // without a heartbeat of a peer: it is down
  unsigned threads = 2;                  // that run actors
};

// `omit`: a type left out, for the test of the self-test.
void register_messages(caf::actor_system_config& config, const char* omit = nullptr);

// Serialises a filled value of every message type as it would travel and reads it back. Errors: internal, naming the type.
Status check_messages_travel(caf::actor_system& system);

class ControlSystem {
 public:
  // Checks keys, starts threads, runs the self-test.
  static Result<std::unique_ptr<ControlSystem>> start(const ControlOptions& options);
  ~ControlSystem();                      // waits until every actor of the process ended

  caf::actor_system& system();
  // Errors: address_in_use, invalid_config.
  Result<std::uint16_t> publish(const caf::actor& actor, const std::string& host, std::uint16_t port);
  // Takes (connect_atom, host, port). Blocks all other dials while the host does not answer: probe it before.
  caf::io::middleman_actor dialler();

 private:
  struct State;
  explicit ControlSystem(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace baton
