#include "runtime/sim/virtual_fabric.h"

#include <algorithm>
#include <numeric>

#include "runtime/base/check.h"

namespace baton::sim {
namespace {

constexpr VirtualEvent kNetworkEvent{VirtualEvent::Kind::network};

}  // namespace

double VirtualFabric::bytes_of(const Transfer& transfer, std::uint32_t block_begin, std::uint32_t block_end) const {
  const std::uint64_t begin = std::uint64_t{block_begin} * kv_.block_tokens;
  const std::uint64_t end = std::min<std::uint64_t>(std::uint64_t{block_end} * kv_.block_tokens, transfer.tokens);
  return static_cast<double>((end - begin) * kv_.bytes_per_token);
}

std::uint32_t VirtualFabric::add_piece(Transfer& transfer, std::uint32_t block_begin, std::uint32_t block_end, std::uint32_t flows) {
  if (free_pieces_.empty()) {
    free_pieces_.push_back(static_cast<std::uint32_t>(pieces_.size()));
    pieces_.emplace_back();
  }
  const std::uint32_t piece = free_pieces_.back();
  free_pieces_.pop_back();
  pieces_[piece] = {transfer.id, block_begin, block_end, flows};
  transfer.pieces.push_back(piece);
  return piece;
}

void VirtualFabric::send(std::uint32_t from, const SendBlocks& blocks) {
  const auto [at, fresh] = transfers_.emplace(blocks.transfer, Transfer{.id = blocks.transfer,
                                                                        .from = from,
                                                                        .to = VirtualWorld::party_of(blocks.to),
                                                                        .tokens = blocks.tokens,
                                                                        .closed = !blocks.by_layer,
                                                                        .opened = world_.now()});
  CHECK(fresh, "a transfer id is used twice");
  if (blocks.by_layer) return;
  Transfer& transfer = at->second;
  const auto all = static_cast<std::uint32_t>(blocks.blocks.size());
  const std::uint32_t piece = add_piece(transfer, 0, all, 1);
  network_.start(2 * Network::Flow{piece}, transfer.from, transfer.to, bytes_of(transfer, 0, all), world_.now());
  arm();
}

void VirtualFabric::step_begins(const PushPlan& plan) {
  const auto found = transfers_.find(plan.transfer);
  CHECK(found != transfers_.end(), "a plan names a transfer that is not open");
  Transfer& transfer = found->second;
  const double bytes = bytes_of(transfer, plan.block_begin, plan.block_end) * (kv_.layers - 1) / kv_.layers;
  const std::uint32_t piece = add_piece(transfer, plan.block_begin, plan.block_end, 2);
  network_.start(2 * Network::Flow{piece}, transfer.from, transfer.to, bytes, world_.now());
  arm();
}

void VirtualFabric::step_ends(const PushPlan& plan) {
  const auto found = transfers_.find(plan.transfer);
  CHECK(found != transfers_.end(), "a transfer is gone before its step has ended");
  Transfer& transfer = found->second;
  transfer.closed = plan.last;
  const auto piece = std::ranges::find(transfer.pieces, plan.block_begin, [&](std::uint32_t i) { return pieces_[i].block_begin; });
  CHECK(piece != transfer.pieces.end(), "a step ends that did not begin");
  const double bytes = bytes_of(transfer, plan.block_begin, plan.block_end) / kv_.layers;
  network_.start(2 * Network::Flow{*piece} + 1, transfer.from, transfer.to, bytes, world_.now());
  arm();
}

void VirtualFabric::abort(std::uint32_t from, TransferId transfer) {
  auto node = transfers_.extract(transfer);
  if (node.empty()) return;                // complete; the sender hears of that
  for (const std::uint32_t piece : node.mapped().pieces) {
    network_.cancel(2 * Network::Flow{piece}, world_.now());
    network_.cancel(2 * Network::Flow{piece} + 1, world_.now());
    free_pieces_.push_back(piece);
  }
  arm();
  world_.deliver_at(world_.now(), from, SendsComplete{transfer, true});
}

void VirtualFabric::network_event() {
  if (!timer_.rings(world_, kNetworkEvent)) return;
  for (const Network::Flow flow : network_.take_ended(world_.now())) flow_ended(flow);
  arm();
}

void VirtualFabric::flow_ended(Network::Flow flow) {
  const auto index = static_cast<std::uint32_t>(flow / 2);
  const Piece& piece = pieces_[index];
  if (--pieces_[index].awaited > 0) return;
  const auto found = transfers_.find(piece.transfer);
  CHECK(found != transfers_.end(), "a piece of no transfer");
  Transfer& transfer = found->second;
  SlotsLanded landed{piece.transfer, std::vector<std::uint32_t>(piece.block_end - piece.block_begin), {}};
  std::iota(landed.slots.begin(), landed.slots.end(), piece.block_begin);
  world_.deliver_at(world_.now() + latency_, transfer.to, std::move(landed));
  std::erase(transfer.pieces, index);
  free_pieces_.push_back(index);
  if (!transfer.closed || !transfer.pieces.empty()) return;
  ++transfers_ended_;
  transferring_ += world_.now() + latency_ - transfer.opened;
  world_.deliver_at(world_.now(), transfer.from, SendsComplete{transfer.id, false});
  transfers_.erase(found);
}

void VirtualFabric::arm() {
  if (const auto end = network_.next_end()) timer_.set(*end, world_, kNetworkEvent);
}

}  // namespace baton::sim
