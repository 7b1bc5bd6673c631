// The sender's side of transfers: which slots still have to leave, packed into pieces, and when a transfer is over.
//
//     open ──close──► closed ──nothing queued, nothing in flight──► finished (reported exactly once)
//      └──abort, or its peer failed: the queue is emptied──► failed ──closed or aborted, nothing in flight──► finished, failed
//
// Pieces of one transfer leave in the order of the slots; transfers to one peer take turns, piece by piece, so that a long hand-off
// does not hold up a short one. Thread: the fabric's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "transport/fabric.h"

namespace baton::transport {

struct PieceRange {                    // packed bytes [offset, offset + bytes) of a slot
  std::uint32_t slot = 0;
  std::size_t offset = 0;
  std::size_t bytes = 0;
  SlotMemory memory;
};

struct OutgoingPiece {
  Transfer transfer = 0;
  std::vector<PieceRange> ranges;
  std::size_t bytes = 0;
};

struct FinishedSends {
  Transfer transfer = 0;
  bool failed = false;
};

class SendBook {
 public:
  void add(PeerId to, Transfer transfer, std::vector<SlotToSend> slots);
  void close(Transfer transfer);
  void abort(Transfer transfer);
  void fail(Transfer transfer);
  void fail_peer(PeerId peer);         // every transfer to it

  // The next piece for `to`, at most `max_bytes`, which counts as in flight until piece_done. A slot larger than that leaves in
  // fragments; a smaller one is never split.
  std::optional<OutgoingPiece> next(PeerId to, std::size_t max_bytes);
  void piece_done(Transfer transfer, bool ok);

  std::vector<FinishedSends> take_finished();

 private:
  static constexpr std::size_t kRemembered = 4096;    // finished transfers whose late close or abort is told from a first one

  struct State {
    PeerId to = 0;
    std::deque<SlotToSend> queue;
    std::size_t sent_of_front = 0;     // fragments of the first slot that left
    int in_flight = 0;
    bool closed = false;
    bool failed = false;
  };
  void finish_if_over(Transfer transfer, State& state);
  State* find_or_finish_empty(Transfer transfer, bool failed);
  static OutgoingPiece pack(Transfer transfer, State& state, std::size_t max_bytes);

  std::unordered_map<Transfer, State> transfers_;
  std::unordered_map<PeerId, std::deque<Transfer>> turns_;   // transfers with queued slots, each once
  std::vector<FinishedSends> finished_;
  std::deque<Transfer> remembered_;
  std::unordered_set<Transfer> remembered_set_;
};

}  // namespace baton::transport
