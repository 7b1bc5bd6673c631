// FabricStats while they are counted: written by the fabric's thread, read by any.
#pragma once

#include <atomic>
#include <cstdint>

#include "transport/fabric.h"

namespace baton::transport {

class Counters {
 public:
  using Counter = std::atomic<std::uint64_t>;
  Counter bytes_received{0}, bytes_sent{0}, slots_verified{0}, pieces_sent{0}, pieces_unadmitted{0}, pieces_malformed{0};

  void count(RejectReason reason) { ++by_reason(reason); }
  FabricStats read() const {
    return {bytes_received, bytes_sent,  slots_verified,    rejected_digest_, rejected_no_grant_,
            rejected_other_, pieces_sent, pieces_unadmitted, pieces_malformed};
  }

 private:
  Counter& by_reason(RejectReason reason) {
    if (reason == RejectReason::digest) return rejected_digest_;
    return reason == RejectReason::no_grant ? rejected_no_grant_ : rejected_other_;
  }
  Counter rejected_digest_{0}, rejected_no_grant_{0}, rejected_other_{0};
};

}  // namespace baton::transport
