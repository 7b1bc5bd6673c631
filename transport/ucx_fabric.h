// The fabric over UCX 1.13: active messages over tcp, one progress thread that sleeps on the worker's event descriptor.
//
//   callers ──commands──► progress thread ──► UcxLinks (who is connected)  UcxSender (what leaves)  UcxReceiver (what arrives)
//                               └──► FabricListener
//
// A slot larger than piece_bytes leaves in fragments, each verified by itself; it is reported landed when the last one is.
//
// What it does not protect against: UCX has no authentication and checks little of what comes over its own ports. The token guards
// against mix-ups, not attackers, and a crafted packet to UCX's transport port can end the process. The data network must be private
// (loopback, a closed network, a tunnel); one device is bound, by its address. A silent partition is not noticed under load either:
// the control plane's heartbeats do, and call disconnect().
#pragma once

#include <memory>
#include <string>

#include "transport/fabric.h"

namespace baton::transport {

struct UcxFabricResult {
  std::unique_ptr<Fabric> fabric;      // null when it could not be made:
  std::string message;                 // why, and what to do
};

// `listener` is called from the progress thread until the fabric's destructor begins; it must outlive the fabric. Destruction takes
// about a second at most: healthy peers are flushed, then everything is closed.
UcxFabricResult make_ucx_fabric(FabricOptions options, FabricListener* listener);

struct UcxVersion {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  bool operator==(const UcxVersion&) const = default;
};

// Of the library this process runs with. Peers must agree on major.minor before they connect: others cannot talk, and an attempt
// can end the older one's process.
UcxVersion ucx_version();

}  // namespace baton::transport
