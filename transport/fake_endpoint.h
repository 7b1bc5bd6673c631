// One fabric on a FakeHub. Its calls only post; what they mean happens when the hub steps.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "transport/counters.h"
#include "transport/fake_hub_state.h"
#include "transport/grant_table.h"
#include "transport/send_book.h"
#include "transport/wire.h"

namespace baton::transport {

class FakeFabric final : public Fabric {
 public:
  FakeFabric(FakeHub::State& hub, FabricOptions options, FabricListener* listener);
  ~FakeFabric() override;

  std::string address() const override { return "fake:" + std::to_string(options_.self); }
  const char* transport_name() const override { return "fake"; }
  void connect(PeerId peer, const std::string& address, std::uint64_t token) override;
  void disconnect(PeerId peer) override;
  void grant(FabricGrant grant) override { grants_.add(std::move(grant), hub_.now); }
  void drop_grant(Transfer transfer) override { grants_.drop(transfer); }
  void send(PeerId to, Transfer transfer, std::vector<SlotToSend> slots) override;
  void close_sends(Transfer transfer) override;
  void abort_sends(Transfer transfer) override;
  FabricStats stats() const override { return counters_.read(); }

  // What the hub and other fabrics make happen here.
  std::uint64_t life() const { return life_; }
  void expire_grants();
  std::int64_t next_deadline() const { return grants_.next_deadline(); }
  void fail_peer(PeerId peer, const std::string& why, bool ours);

 private:
  struct Parcel {                      // a piece under way
    PieceHeader header;
    std::vector<std::byte> payload;
  };
  void open_link(PeerId peer, const std::string& address, std::uint64_t token);
  void send_now(PeerId to, Transfer transfer, std::vector<SlotToSend> slots);
  void pump(PeerId to);
  Parcel pack(const OutgoingPiece& piece) const;
  void launch(PeerId to, const OutgoingPiece& piece);
  void receive(PeerId from, std::uint64_t link, const Parcel& parcel);
  void sent(PeerId to, std::uint64_t link, std::uint64_t piece);
  void report_finished();

  FakeHub::State& hub_;
  const FabricOptions options_;
  FabricListener* const listener_;
  Counters counters_;
  GrantTable grants_;
  SendBook book_;
  std::uint64_t life_ = 0;
  std::uint64_t pieces_ = 0;
  struct Outbound {
    std::uint64_t link = 0;            // tells completions of an earlier connection apart
    std::map<std::uint64_t, Transfer> flights;   // by piece
  };
  std::map<PeerId, Outbound> outbound_;
  std::set<PeerId> inbound_;
  std::uint64_t links_ = 0;
};

}  // namespace baton::transport
