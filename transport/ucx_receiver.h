// Pieces on their way in. Only admitted peers are listened to, and only for live grants; what comes by rendezvous is fetched into
// staging when a buffer is free (until then its sender waits: back-pressure), what comes eagerly is taken from UCX's own buffer.
// The GrantTable verifies and copies; nothing else touches granted memory. Thread: the fabric's.
#pragma once

#include <ucp/api/ucp.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "transport/counters.h"
#include "transport/grant_table.h"
#include "transport/staging_ring.h"
#include "transport/ucx_links.h"
#include "transport/ucx_worker.h"
#include "transport/wire.h"

namespace baton::transport {

class UcxReceiver {
 public:
  using Landed = std::function<void(Transfer, const Landing&)>;

  UcxReceiver(UcxWorker& worker, UcxLinks& links, GrantTable& grants, std::unique_ptr<StagingRing> staging, Counters& counters,
              Landed landed)
      : worker_(worker), links_(links), grants_(grants), staging_(std::move(staging)), counters_(counters),
        landed_(std::move(landed)) {}
  bool start(std::string& why) { return worker_.set_handler(kPiece, on_piece, this, why); }

  bool pump();                         // starts receives that waited for staging; false when none could be started
  void drop_waiting();                 // before the endpoints are closed for good
  int in_flight() const { return in_flight_; }

 private:
  struct Arrival {                     // a piece announced by rendezvous
    UcxReceiver* receiver = nullptr;
    LinkPtr link;
    PieceHeader header;
    void* descriptor = nullptr;
    std::size_t bytes = 0;
    std::byte* buffer = nullptr;
  };
  static ucs_status_t on_piece(void* self, const void* header, std::size_t header_bytes, void* data, std::size_t bytes,
                               const ucp_am_recv_param_t* message);
  static void on_received(void* request, ucs_status_t status, std::size_t bytes, void* arrival);

  ucs_status_t take(std::span<const std::byte> header, void* data, std::size_t bytes, const ucp_am_recv_param_t* message);
  void start_receive(std::unique_ptr<Arrival> arrival);
  void finish_receive(std::unique_ptr<Arrival> arrival, ucs_status_t status);

  UcxWorker& worker_;
  UcxLinks& links_;
  GrantTable& grants_;
  std::unique_ptr<StagingRing> staging_;
  Counters& counters_;
  const Landed landed_;
  std::deque<std::unique_ptr<Arrival>> waiting_;
  int in_flight_ = 0;
};

}  // namespace baton::transport
