// Pieces on their way out: taken from the SendBook, gathered into staging (digest in the same pass), sent as active messages. At most
// kPiecesPerPeer are in flight to a peer, so that a peer that does not drain cannot hold the staging that others need.
// Thread: the fabric's.
#pragma once

#include <ucp/api/ucp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "transport/counters.h"
#include "transport/send_book.h"
#include "transport/staging_ring.h"
#include "transport/ucx_links.h"
#include "transport/wire.h"

namespace baton::transport {

class UcxSender {
 public:
  static constexpr std::uint32_t kPiecesPerPeer = 8;
  static constexpr std::uint32_t kStagingPieces = 32;

  UcxSender(UcxLinks& links, std::unique_ptr<StagingRing> staging, const FabricOptions& options, Counters& counters)
      : links_(links), staging_(std::move(staging)), digests_(options.verify), flip_piece_(options.flip_bit_in_piece),
        counters_(counters) {}

  void send(PeerId to, Transfer transfer, std::vector<SlotToSend> slots);
  void close(Transfer transfer) { book_.close(transfer); }
  void abort(Transfer transfer) { book_.abort(transfer); }
  void fail_peer(PeerId peer) { book_.fail_peer(peer); }

  bool pump();                         // one piece to each peer that has room; false when nothing could leave
  std::vector<FinishedSends> take_finished() { return book_.take_finished(); }
  int in_flight() const { return in_flight_; }

 private:
  struct Flight {                      // what UCX needs until the piece is out
    UcxSender* sender = nullptr;
    LinkPtr link;
    Transfer transfer = 0;
    std::byte* buffer = nullptr;
    std::string header;
  };
  void launch(const LinkPtr& link, const OutgoingPiece& piece);
  void stage(const OutgoingPiece& piece, std::byte* buffer, PieceHeader& header);
  void landed(std::unique_ptr<Flight> flight, ucs_status_t status);
  static void on_sent(void* request, ucs_status_t status, void* flight);

  UcxLinks& links_;
  std::unique_ptr<StagingRing> staging_;
  const bool digests_;
  const std::uint64_t flip_piece_;
  Counters& counters_;
  SendBook book_;
  std::uint64_t pieces_ = 0;
  int in_flight_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace baton::transport
