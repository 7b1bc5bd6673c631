// The receiver's live grants, and the only code that writes into granted memory. A slot goes
//
//     granted ──whole, digest equal──► landed            (reported once; its grant ends)
//        │ ▲                              ▲
//        └─┴──fragments, each verified────┘
//
// and a grant ends when its last slot landed, by drop(), by its deadline or with its peer. What names no granted slot (never granted,
// another peer's, landed already, ended) is rejected as no_grant; bytes that do not verify are rejected and not copied.
//
// Threads: any. Bytes are copied under the lock, one slot at a time: when drop() has returned, nothing writes to the grant's memory.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transport/counters.h"
#include "transport/fabric.h"
#include "transport/wire.h"

namespace baton::transport {

// What became of one piece; in the piece's order.
struct Landing {
  std::vector<std::uint32_t> slots;                                     // complete, in granted memory
  std::vector<std::uint64_t> digests;                                   // of the same; empty when digests are off
  std::vector<std::pair<std::uint32_t, RejectReason>> rejected;
};

class GrantTable {
 public:
  // Fragments smaller than this are refused, unless last in their slot: it bounds what a slot's bookkeeping can cost.
  static constexpr std::uint32_t kMinFragmentBytes = 4096;

  GrantTable(bool verify, Counters& counters) : verify_(verify), counters_(counters) {}

  void add(FabricGrant grant, std::int64_t now);      // one that is live already is replaced
  void drop(Transfer transfer);
  bool live(Transfer transfer, PeerId from) const;

  // Verifies and copies what `from` sent. `move_bytes` false (a simulated fabric): nothing is copied, and a slot's digest seed
  // stands for its digest.
  Landing land(PeerId from, const PieceHeader& header, std::span<const std::byte> payload, bool move_bytes = true);
  Landing reject_all(const PieceHeader& header, RejectReason reason);

  std::vector<Transfer> take_from(PeerId peer);       // ends them
  std::vector<Transfer> take_expired(std::int64_t now);
  std::int64_t next_deadline() const;                 // kNever without grants

 private:
  struct Grant {
    PeerId from = 0;
    std::vector<SlotMemory> slots;
    std::vector<bool> landed;
    std::size_t missing = 0;
    std::int64_t deadline = 0;
    std::unordered_map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>> fragments;   // slot -> offset -> bytes, landed
  };
  enum class Step { landed, fragment, rejected };

  Step land_slot(PeerId from, Transfer transfer, const PieceSlot& piece, bool digests, const std::byte* bytes, bool move_bytes,
                 Landing& landing);
  static bool add_fragment(Grant& grant, const PieceSlot& piece, bool& complete);

  const bool verify_;
  Counters& counters_;
  mutable std::mutex mutex_;
  std::unordered_map<Transfer, Grant> grants_;
};

}  // namespace baton::transport
