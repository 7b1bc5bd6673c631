// The fabric of a simulated cluster: what instances ask of the real one (SendBlocks, PushPlan, AbortSends) as transfers of the KV's bytes
// over a Network, and what it tells them (SlotsLanded, SendsComplete) as messages. Slots are blocks: the cores run with one layer.
//
//   pull            all blocks at once, landing together
//   push by layer   the blocks of each step in two parts: the bytes of all layers but the last from the step's start, while the layers
//                   are computed, and the last layer's from its end; they land when both have arrived
//
// Thread: none.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/sim/network.h"
#include "runtime/sim/virtual_world.h"

namespace baton::sim {

struct VirtualKv {
  std::uint64_t bytes_per_token = 0;       // of all layers
  std::uint32_t layers = 1;                // of the model
  std::uint32_t block_tokens = 16;
};

class VirtualFabric {
 public:
  VirtualFabric(VirtualWorld& world, VirtualKv kv, std::vector<Network::Link> links, Duration latency)
      : world_(world), kv_(kv), network_(std::move(links)), latency_(latency) {}

  void send(std::uint32_t from, const SendBlocks& blocks);
  void step_begins(const PushPlan& plan);
  void step_ends(const PushPlan& plan);
  void abort(std::uint32_t from, TransferId transfer);
  void network_event();                    // VirtualEvent::Kind::network came up

  double bytes_moved() const { return network_.bytes_moved(); }
  std::uint64_t transfers() const { return transfers_ended_; }     // complete ones
  Duration transferring() const { return transferring_; }          // of these: from the first byte's leaving to the last's arrival

 private:
  struct Transfer {
    TransferId id;
    std::uint32_t from = 0, to = 0;
    std::uint32_t tokens = 0;
    bool closed = false;                   // no more pieces will come
    Instant opened;
    std::vector<std::uint32_t> pieces;     // under way
  };
  struct Piece {                           // flows 2 * its index and the next
    TransferId transfer;
    std::uint32_t block_begin = 0, block_end = 0;
    std::uint32_t awaited = 0;             // of its flows
  };

  double bytes_of(const Transfer& transfer, std::uint32_t block_begin, std::uint32_t block_end) const;
  std::uint32_t add_piece(Transfer& transfer, std::uint32_t block_begin, std::uint32_t block_end, std::uint32_t flows);
  void flow_ended(Network::Flow flow);
  void arm();

  VirtualWorld& world_;
  VirtualKv kv_;
  Network network_;
  Duration latency_;
  VirtualTimer timer_;
  std::unordered_map<TransferId, Transfer> transfers_;       // looked up only
  std::vector<Piece> pieces_;
  std::vector<std::uint32_t> free_pieces_;
  std::uint64_t transfers_ended_ = 0;
  Duration transferring_{};
};

}  // namespace baton::sim
