#include "transport/grant_table.h"

#include <algorithm>

#include "transport/clock.h"
#include "transport/digest.h"
#include "transport/slot_memory.h"

namespace baton::transport {

void GrantTable::add(FabricGrant grant, std::int64_t now) {
  Grant live;
  live.from = grant.from;
  live.slots = std::move(grant.slots);
  live.landed.resize(live.slots.size());
  live.missing = live.slots.size();
  live.deadline = deadline_after(now, grant.deadline_ns);
  std::lock_guard lock(mutex_);
  grants_.insert_or_assign(grant.transfer, std::move(live));
}

void GrantTable::drop(Transfer transfer) {
  std::lock_guard lock(mutex_);
  grants_.erase(transfer);
}

bool GrantTable::live(Transfer transfer, PeerId from) const {
  std::lock_guard lock(mutex_);
  const auto found = grants_.find(transfer);
  return found != grants_.end() && found->second.from == from;
}

Landing GrantTable::land(PeerId from, const PieceHeader& header, std::span<const std::byte> payload, bool move_bytes) {
  if (!live(header.transfer, from)) return reject_all(header, RejectReason::no_grant);
  if (move_bytes && header.payload_bytes() != payload.size()) return reject_all(header, RejectReason::malformed);
  Landing landing;
  std::size_t offset = 0;
  for (const PieceSlot& piece : header.slots) {
    const std::byte* bytes = move_bytes ? payload.data() + offset : nullptr;
    const Step step = land_slot(from, header.transfer, piece, header.digests, bytes, move_bytes, landing);
    offset += piece.bytes;
    if (step == Step::rejected) {
      counters_.count(landing.rejected.back().second);
    } else {
      counters_.bytes_received += piece.bytes;
      if (step == Step::landed && verify_) ++counters_.slots_verified;
    }
  }
  return landing;
}

Landing GrantTable::reject_all(const PieceHeader& header, RejectReason reason) {
  Landing landing;
  for (const PieceSlot& piece : header.slots) {
    landing.rejected.emplace_back(piece.slot, reason);
    counters_.count(reason);
  }
  return landing;
}

GrantTable::Step GrantTable::land_slot(PeerId from, Transfer transfer, const PieceSlot& piece, bool digests,
                                       const std::byte* bytes, bool move_bytes, Landing& landing) {
  const auto reject = [&](RejectReason reason) {
    landing.rejected.emplace_back(piece.slot, reason);
    return Step::rejected;
  };
  std::lock_guard lock(mutex_);
  const auto found = grants_.find(transfer);
  if (found == grants_.end() || found->second.from != from) return reject(RejectReason::no_grant);
  Grant& grant = found->second;
  if (piece.slot >= grant.slots.size() || grant.landed[piece.slot]) return reject(RejectReason::no_grant);
  const SlotMemory& slot = grant.slots[piece.slot];
  if (piece.of != slot.bytes() || piece.bytes > piece.of || piece.offset > piece.of - piece.bytes) {
    return reject(RejectReason::wrong_size);
  }
  if (verify_) {
    const std::uint64_t digest =
        move_bytes ? range_digest(bytes, piece.bytes, slot.digest_seed, piece.offset, piece.of) : slot.digest_seed;
    if (!digests || digest != piece.digest) return reject(RejectReason::digest);
  }
  const bool whole = piece.bytes == piece.of;
  bool complete = true;
  if (whole ? grant.fragments.contains(piece.slot) : !add_fragment(grant, piece, complete)) {
    return reject(RejectReason::malformed);                  // bytes that landed are not written again
  }
  if (move_bytes) scatter(slot, piece.offset, piece.bytes, bytes);
  if (!complete) return Step::fragment;

  landing.slots.push_back(piece.slot);
  if (verify_) landing.digests.push_back(whole || !move_bytes ? piece.digest : slot_digest(slot));
  grant.landed[piece.slot] = true;
  grant.fragments.erase(piece.slot);
  if (--grant.missing == 0) grants_.erase(found);
  return Step::landed;
}

// Fragments may come in any order, but never twice and never overlapping.
bool GrantTable::add_fragment(Grant& grant, const PieceSlot& piece, bool& complete) {
  const std::uint32_t end = piece.offset + piece.bytes;
  if (piece.bytes == 0 || (piece.bytes < kMinFragmentBytes && end != piece.of)) return false;
  auto& landed = grant.fragments[piece.slot];
  const auto next = landed.lower_bound(piece.offset);
  if (next != landed.end() && next->first < end) return false;
  if (next != landed.begin()) {
    const auto& [offset, bytes] = *std::prev(next);
    if (offset + bytes > piece.offset) return false;
  }
  landed.emplace_hint(next, piece.offset, piece.bytes);
  std::size_t sum = 0;
  for (const auto& [offset, bytes] : landed) sum += bytes;
  complete = sum == piece.of;
  return true;
}

std::vector<Transfer> GrantTable::take_from(PeerId peer) {
  std::vector<Transfer> taken;
  std::lock_guard lock(mutex_);
  std::erase_if(grants_, [&](const auto& entry) {
    if (entry.second.from != peer) return false;
    taken.push_back(entry.first);
    return true;
  });
  std::sort(taken.begin(), taken.end());
  return taken;
}

std::vector<Transfer> GrantTable::take_expired(std::int64_t now) {
  std::vector<Transfer> taken;
  std::lock_guard lock(mutex_);
  std::erase_if(grants_, [&](const auto& entry) {
    if (entry.second.deadline > now) return false;
    taken.push_back(entry.first);
    return true;
  });
  std::sort(taken.begin(), taken.end());
  return taken;
}

std::int64_t GrantTable::next_deadline() const {
  std::int64_t next = kNever;
  std::lock_guard lock(mutex_);
  for (const auto& [transfer, grant] : grants_) next = std::min(next, grant.deadline);
  return next;
}

}  // namespace baton::transport
