#include "transport/fake_endpoint.h"

#include <algorithm>

#include "transport/digest.h"
#include "transport/slot_memory.h"

namespace baton::transport {

FakeFabric::FakeFabric(FakeHub::State& hub, FabricOptions options, FabricListener* listener)
    : hub_(hub), options_(std::move(options)), listener_(listener), grants_(options_.verify, counters_) {
  life_ = ++hub_.lives;
  hub_.fabrics[options_.self] = this;
}

FakeFabric::~FakeFabric() {
  hub_.fabrics.erase(options_.self);
  std::set<PeerId> peers = inbound_;
  for (const auto& [peer, link] : outbound_) peers.insert(peer);
  for (const PeerId peer : peers) {
    hub_.post(peer, 0, [self = options_.self](FakeFabric& there) { there.fail_peer(self, "its process ended", false); });
  }
}

void FakeFabric::connect(PeerId peer, const std::string& address, std::uint64_t token) {
  hub_.post(options_.self, 0, [=](FakeFabric& self) { self.open_link(peer, address, token); });
}

void FakeFabric::disconnect(PeerId peer) {
  hub_.post(options_.self, 0, [=](FakeFabric& self) { self.fail_peer(peer, "disconnected", true); });
}

void FakeFabric::send(PeerId to, Transfer transfer, std::vector<SlotToSend> slots) {
  hub_.post(options_.self, 0, [to, transfer, slots = std::move(slots)](FakeFabric& self) { self.send_now(to, transfer, slots); });
}

void FakeFabric::close_sends(Transfer transfer) {
  hub_.post(options_.self, 0, [=](FakeFabric& self) {
    self.book_.close(transfer);
    self.report_finished();
  });
}

void FakeFabric::abort_sends(Transfer transfer) {
  hub_.post(options_.self, 0, [=](FakeFabric& self) {
    self.book_.abort(transfer);
    self.report_finished();
  });
}

void FakeFabric::open_link(PeerId peer, const std::string& address, std::uint64_t token) {
  if (outbound_.contains(peer)) return;
  FakeFabric* const there = hub_.find(peer);
  if (there == nullptr || there->address() != address) return fail_peer(peer, "nobody of that name at " + address, false);
  if (there->options_.token != token) return fail_peer(peer, "it refused this node: wrong token", false);
  if (there->inbound_.contains(options_.self)) there->fail_peer(options_.self, "it connected anew", false);
  there->inbound_.insert(options_.self);
  outbound_[peer] = {++links_, {}};
  listener_->on_peer_ready(peer);
}

// A peer fails as a whole, and the other side learns of it.
void FakeFabric::fail_peer(PeerId peer, const std::string& why, bool ours) {
  const auto link = outbound_.extract(peer);
  const bool connected = inbound_.erase(peer) > 0 || !link.empty();
  book_.fail_peer(peer);
  if (!link.empty()) {
    for (const auto& [piece, transfer] : link.mapped().flights) book_.piece_done(transfer, false);
  }
  for (const Transfer transfer : grants_.take_from(peer)) {
    listener_->on_transfer_failed(transfer, "its sender failed: " + why);
  }
  report_finished();
  if (!ours) listener_->on_peer_failed(peer, why);
  if (!connected) return;
  hub_.post(peer, 0, [self = options_.self](FakeFabric& there) {
    if (there.outbound_.contains(self) || there.inbound_.contains(self)) there.fail_peer(self, "it closed the connection", false);
  });
}

void FakeFabric::send_now(PeerId to, Transfer transfer, std::vector<SlotToSend> slots) {
  book_.add(to, transfer, std::move(slots));
  if (!outbound_.contains(to)) book_.fail(transfer);
  pump(to);
  report_finished();
}

void FakeFabric::pump(PeerId to) {
  const auto link = outbound_.find(to);
  const FakeFabric* const there = hub_.find(to);
  if (link == outbound_.end() || there == nullptr) return;
  const std::size_t largest = std::min(options_.piece_bytes, there->options_.piece_bytes);
  while (link->second.flights.size() < static_cast<std::size_t>(hub_.options.pieces_in_flight)) {
    const auto piece = book_.next(to, largest);
    if (!piece) return;
    launch(to, *piece);
  }
}

FakeFabric::Parcel FakeFabric::pack(const OutgoingPiece& piece) const {
  const bool move = hub_.options.move_bytes;
  Parcel parcel{{piece.transfer, pieces_, options_.verify, {}}, {}};
  if (move) parcel.payload.resize(piece.bytes);
  std::byte* at = parcel.payload.data();
  for (const PieceRange& range : piece.ranges) {
    const std::size_t of = range.memory.bytes();
    std::uint64_t digest = range.memory.digest_seed;
    if (move) {
      gather(range.memory, range.offset, range.bytes, at);
      digest = options_.verify ? range_digest(at, range.bytes, digest, range.offset, of) : 0;
      at += range.bytes;
    }
    parcel.header.slots.push_back({range.slot, static_cast<std::uint32_t>(range.offset), static_cast<std::uint32_t>(range.bytes),
                                   static_cast<std::uint32_t>(of), digest});
  }
  return parcel;
}

void FakeFabric::launch(PeerId to, const OutgoingPiece& piece) {
  ++pieces_;
  ++counters_.pieces_sent;
  counters_.bytes_sent += piece.bytes;
  Outbound& link = outbound_[to];
  link.flights[pieces_] = piece.transfer;
  Parcel parcel = pack(piece);
  FakeFault fault;
  if (hub_.hub.fault) fault = hub_.hub.fault({options_.self, to, piece.transfer, pieces_, piece.bytes});
  if (fault.corrupt || pieces_ == options_.flip_bit_in_piece) {
    if (parcel.payload.empty()) {
      parcel.header.slots.front().digest ^= 1;
    } else {
      parcel.payload[parcel.payload.size() / 2] ^= std::byte{1};
    }
  }
  if (fault.drop) {
    hub_.post(options_.self, fault.delay_ns,
              [to, id = link.link, piece = pieces_](FakeFabric& self) { self.sent(to, id, piece); });
    return;
  }
  for (int copies = 1 + fault.duplicates; copies > 0; --copies) {
    hub_.post(to, fault.delay_ns,
              [from = options_.self, id = link.link, parcel](FakeFabric& there) { there.receive(from, id, parcel); });
  }
}

// The sender's piece is complete when it was taken in, whatever became of it.
void FakeFabric::receive(PeerId from, std::uint64_t link, const Parcel& parcel) {
  if (!inbound_.contains(from)) {
    ++counters_.pieces_unadmitted;
    return;
  }
  hub_.post(from, 0, [to = options_.self, link, piece = parcel.header.piece](FakeFabric& there) { there.sent(to, link, piece); });
  const Landing landing = grants_.land(from, parcel.header, parcel.payload, hub_.options.move_bytes);
  if (!landing.slots.empty()) listener_->on_slots_landed(parcel.header.transfer, landing.slots, landing.digests);
  for (const auto& [slot, reason] : landing.rejected) listener_->on_slot_rejected(parcel.header.transfer, slot, reason);
}

void FakeFabric::sent(PeerId to, std::uint64_t link, std::uint64_t piece) {
  const auto found = outbound_.find(to);
  if (found == outbound_.end() || found->second.link != link) return;
  const auto flight = found->second.flights.find(piece);
  if (flight == found->second.flights.end()) return;         // a duplicate's
  const Transfer transfer = flight->second;
  found->second.flights.erase(flight);
  book_.piece_done(transfer, true);
  pump(to);
  report_finished();
}

void FakeFabric::expire_grants() {
  for (const Transfer transfer : grants_.take_expired(hub_.now)) {
    listener_->on_transfer_failed(transfer, "the deadline of its grant passed before every slot had landed");
  }
}

void FakeFabric::report_finished() {
  for (const FinishedSends& sends : book_.take_finished()) listener_->on_sends_complete(sends.transfer, sends.failed);
}

}  // namespace baton::transport
