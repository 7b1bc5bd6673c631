// What UCX could move bytes over on this machine: for whoever looks at it. The fabric itself uses tcp alone (ucx_fabric.h).
#pragma once

#include <string>
#include <vector>

namespace baton::transport {

struct UcxTransport {
  std::string name;                    // tcp, posix, sysv, cma, rc_verbs ...
  std::vector<std::string> devices;    // lo, eth0, memory ...; sorted
};

// Sorted by name; empty when UCX does not answer.
std::vector<UcxTransport> ucx_transports();

}  // namespace baton::transport
