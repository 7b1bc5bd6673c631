// One node of a cluster file as a process: its role's actor, its connections, its signals. What `baton node` is.
//
//   prints `ready http://HOST:PORT` (gateway, once requests can be served) or `ready NAME CONTROL_ADDRESS` on stdout
//   SIGTERM, SIGINT: refuses what is new, finishes the rest within `drain`, exits 0; a second one: exits at once
#pragma once

#include <optional>
#include <string>

#include "actors/keys.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/config/cluster_config.h"

namespace baton {

struct NodeOptions {
  std::string name;                      // of the node in the cluster file
  Duration drain = Milliseconds{10000};
};

// Exit status of a node that could not start: whatever kept it from that, another try would meet again.
inline constexpr int kCannotStart = 2;

struct NodeEnd {
  bool started = false;
  Status status = ok();                  // not started: what keeps it from that; started: `internal`, when its role's actor died,
};                                       // which only a new process repairs

// Returns when the node ended by a signal or could not start. Call from the main thread, before any other thread is started.
NodeEnd run_node(ClusterConfig cluster, const NodeOptions& options);

// The key files that the cluster's security section names for a node; nothing when insecure by name. Errors: invalid_config, when
// there is neither.
Result<std::optional<KeyFiles>> keys_of(const SecurityConfig& security, const std::string& node);

}  // namespace baton
