#include "transport/ucx_sender.h"

#include <algorithm>

#include "transport/digest.h"
#include "transport/slot_memory.h"

namespace baton::transport {

void UcxSender::send(PeerId to, Transfer transfer, std::vector<SlotToSend> slots) {
  book_.add(to, transfer, std::move(slots));
  if (links_.outbound(to) == nullptr) book_.fail(transfer);
}

bool UcxSender::pump() {
  bool sent = false;
  const auto ready = links_.ready_outbound();
  for (std::size_t i = 0; i < ready.size(); ++i) {
    const LinkPtr& link = ready[(i + turn_) % ready.size()];
    if (staging_->empty()) break;
    if (link->pieces_in_flight >= static_cast<int>(kPiecesPerPeer)) continue;
    const std::size_t largest = std::min<std::size_t>(staging_->buffer_bytes(), link->max_piece_bytes);
    if (const auto piece = book_.next(link->peer, largest)) {
      launch(link, *piece);
      sent = true;
    }
  }
  ++turn_;                                       // who comes first when staging is short takes turns
  return sent;
}

void UcxSender::stage(const OutgoingPiece& piece, std::byte* buffer, PieceHeader& header) {
  for (const PieceRange& range : piece.ranges) {
    gather(range.memory, range.offset, range.bytes, buffer);
    const std::size_t of = range.memory.bytes();
    const std::uint64_t digest =
        digests_ ? range_digest(buffer, range.bytes, range.memory.digest_seed, range.offset, of) : 0;
    header.slots.push_back({range.slot, static_cast<std::uint32_t>(range.offset), static_cast<std::uint32_t>(range.bytes),
                            static_cast<std::uint32_t>(of), digest});
    buffer += range.bytes;
  }
}

void UcxSender::launch(const LinkPtr& link, const OutgoingPiece& piece) {
  auto flight = std::make_unique<Flight>();
  flight->sender = this;
  flight->link = link;
  flight->transfer = piece.transfer;
  flight->buffer = staging_->take();
  PieceHeader header{piece.transfer, ++pieces_, digests_, {}};
  header.slots.reserve(piece.ranges.size());
  stage(piece, flight->buffer, header);
  if (pieces_ == flip_piece_ && piece.bytes > 0) flight->buffer[piece.bytes / 2] ^= std::byte{1};
  flight->header = encode(header);
  ++link->pieces_in_flight;
  ++in_flight_;
  ++counters_.pieces_sent;
  counters_.bytes_sent += piece.bytes;

  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  params.flags = UCP_AM_SEND_FLAG_REPLY;         // eager or rendezvous, as UCX finds best for the size
  params.user_data = flight.get();
  params.cb.send = on_sent;
  const ucs_status_ptr_t request =
      ucp_am_send_nbx(link->endpoint, kPiece, flight->header.data(), flight->header.size(), flight->buffer, piece.bytes, &params);
  if (UCS_PTR_IS_PTR(request)) {
    flight.release();                            // on_sent has it
  } else {
    landed(std::move(flight), UCS_PTR_RAW_STATUS(request));
  }
}

void UcxSender::on_sent(void* request, ucs_status_t status, void* user_data) {
  std::unique_ptr<Flight> flight(static_cast<Flight*>(user_data));
  UcxSender* const sender = flight->sender;
  sender->landed(std::move(flight), status);
  ucp_request_free(request);
}

void UcxSender::landed(std::unique_ptr<Flight> flight, ucs_status_t status) {
  staging_->give_back(flight->buffer);
  --flight->link->pieces_in_flight;
  --in_flight_;
  book_.piece_done(flight->transfer, status == UCS_OK);
}

}  // namespace baton::transport
