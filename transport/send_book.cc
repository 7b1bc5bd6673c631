#include "transport/send_book.h"

#include <algorithm>
#include <utility>

#include "transport/wire.h"

namespace baton::transport {

void SendBook::add(PeerId to, Transfer transfer, std::vector<SlotToSend> slots) {
  if (remembered_set_.contains(transfer)) return;
  State& state = transfers_.try_emplace(transfer, State{.to = to}).first->second;
  if (state.failed || state.closed || slots.empty()) return;
  if (state.queue.empty()) turns_[state.to].push_back(transfer);
  state.queue.insert(state.queue.end(), slots.begin(), slots.end());
}

// A transfer of which nothing was ever sent is over at once; one that is finished stays so.
SendBook::State* SendBook::find_or_finish_empty(Transfer transfer, bool failed) {
  if (remembered_set_.contains(transfer)) return nullptr;
  State& state = transfers_[transfer];
  state.closed = true;
  state.failed |= failed;
  return &state;
}

void SendBook::close(Transfer transfer) {
  if (State* state = find_or_finish_empty(transfer, false)) finish_if_over(transfer, *state);
}

void SendBook::abort(Transfer transfer) {
  State* state = find_or_finish_empty(transfer, true);
  if (state == nullptr) return;
  state->queue.clear();
  finish_if_over(transfer, *state);
}

void SendBook::fail(Transfer transfer) {
  const auto found = transfers_.find(transfer);
  if (found == transfers_.end()) return;
  found->second.failed = true;
  found->second.queue.clear();
  finish_if_over(transfer, found->second);
}

void SendBook::fail_peer(PeerId peer) {
  std::vector<Transfer> failing;
  for (const auto& [transfer, state] : transfers_) {
    if (state.to == peer) failing.push_back(transfer);
  }
  std::sort(failing.begin(), failing.end());
  for (const Transfer transfer : failing) fail(transfer);
  turns_.erase(peer);
}

std::optional<OutgoingPiece> SendBook::next(PeerId to, std::size_t max_bytes) {
  const auto turns = turns_.find(to);
  if (turns == turns_.end()) return std::nullopt;
  while (!turns->second.empty()) {
    const Transfer transfer = turns->second.front();
    turns->second.pop_front();
    const auto found = transfers_.find(transfer);
    if (found == transfers_.end() || found->second.queue.empty()) continue;     // aborted meanwhile
    OutgoingPiece piece = pack(transfer, found->second, max_bytes);
    ++found->second.in_flight;
    if (!found->second.queue.empty()) turns->second.push_back(transfer);
    if (turns->second.empty()) turns_.erase(turns);
    return piece;
  }
  turns_.erase(turns);
  return std::nullopt;
}

OutgoingPiece SendBook::pack(Transfer transfer, State& state, std::size_t max_bytes) {
  OutgoingPiece piece{.transfer = transfer};
  while (!state.queue.empty() && piece.ranges.size() < kMaxSlotsPerPiece) {
    const SlotToSend& front = state.queue.front();
    const std::size_t left = front.memory.bytes() - state.sent_of_front;
    const std::size_t room = max_bytes - piece.bytes;
    const bool fragmented = front.memory.bytes() > max_bytes;
    if (left > room && !(fragmented && piece.ranges.empty())) break;
    const std::size_t bytes = std::min(left, room);
    piece.ranges.push_back({front.slot, state.sent_of_front, bytes, front.memory});
    piece.bytes += bytes;
    state.sent_of_front += bytes;
    if (state.sent_of_front < front.memory.bytes()) break;
    state.sent_of_front = 0;
    state.queue.pop_front();
  }
  return piece;
}

void SendBook::piece_done(Transfer transfer, bool ok) {
  const auto found = transfers_.find(transfer);
  if (found == transfers_.end()) return;
  State& state = found->second;
  --state.in_flight;
  if (!ok) {
    state.failed = true;
    state.queue.clear();
  }
  finish_if_over(transfer, state);
}

void SendBook::finish_if_over(Transfer transfer, State& state) {
  if (!state.closed || state.in_flight > 0 || !state.queue.empty()) return;
  finished_.push_back({transfer, state.failed});
  transfers_.erase(transfer);
  remembered_.push_back(transfer);
  remembered_set_.insert(transfer);
  if (remembered_.size() > kRemembered) {
    remembered_set_.erase(remembered_.front());
    remembered_.pop_front();
  }
}

std::vector<FinishedSends> SendBook::take_finished() { return std::exchange(finished_, {}); }

}  // namespace baton::transport
