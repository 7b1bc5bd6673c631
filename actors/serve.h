// A whole cluster on this machine: every node of it a child process, restarted when it dies, ended when we are. What `baton serve`
// is. Its run directory (0700, removed at the end) holds the cluster file and the throwaway keys of the control plane.
//
//   child   starting ──► running ──► died ──backoff──► starting      (backoff doubles, and starts anew after a quiet while)
//
//   SIGTERM, SIGINT: the gateway drains and ends, then the others; exit 0. A second one ends everything at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/config/cluster_config.h"

namespace baton {

struct ServeOptions {
  std::string config;                    // a cluster file, all of whose nodes run here; empty: made of what follows
  std::uint32_t prefill = 1;
  std::uint32_t decode = 1;
  std::uint32_t mixed = 0;
  HostPort http{"127.0.0.1", 8000};      // port 0: any free one
  ClusterConfig cluster;                 // model, instances, scheduler, limits; its nodes are made
  std::string log = "info";
  Duration drain = Milliseconds{15000};
  bool restart = true;                   // children that die; false: for experiments on what is left
};

// The cluster file for `options`: one gateway, one scheduler and the instances, on free loopback ports. Errors: invalid_argument,
// when nobody would prefill or decode.
Result<ClusterConfig> plan_cluster(const ServeOptions& options);

// Runs until a signal. Prints `ready http://HOST:PORT` on stdout when requests can be served. Errors, all before anything is
// started: invalid_argument, address_in_use, not_found (the model), check_servable's; then io_error, invalid_config (a child that cannot
// start at all).
Status serve(const ServeOptions& options);

}  // namespace baton
