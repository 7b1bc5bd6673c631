// D's side of a hand-off: requests whose KV is awaited or moving here.
//
//   DecodeRequest and Offer (or a Reserve: push) ─► queued ─room─► moving ─all slots settled─► arrived ─► the batch
//                                                     │               │
//                                                     └──── lost ◄────┘   the rest is recomputed from DecodeRequest's tokens,
//                                                                         or, without one yet, once it comes
//
// Rules. First come, first served: one that does not fit holds back those behind it. Every wait ends: for the other half of
// Offer and DecodeRequest after one lease, for room at the request's deadline (the lease is renewed meanwhile), for more
// blocks after transfer_deadline without any. Nothing is skipped because D has a prefix cached: what arrives is verified, and what did
// not arrive is known. A slot that did not verify ends at the block's first token: blocks before it are kept, the rest is
// recomputed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "runtime/instance/attempt_book.h"
#include "runtime/instance/instance_context.h"
#include "runtime/kv/block_table.h"
#include "runtime/messages/hand_off.h"

namespace baton {

// A request that can join: KV of its first `stored` tokens is in `table` (empty if nothing was ever allocated).
struct Arrival {
  DecodeRequest request;
  BlockTable table;
  std::uint32_t stored = 0;
};

class HandOffSink {
 public:
  explicit HandOffSink(InstanceContext& context);

  // `attempt` is the book's entry of the message's key, which stays in stage inbound until an Arrival is returned.
  void on_reserve(const Reserve& reserve, Attempt& attempt, AttemptBook& book, Instant now);
  std::optional<Arrival> on_offer(const Offer& offer, Attempt& attempt, AttemptBook& book, Instant now);
  std::optional<Arrival> on_decode(const DecodeRequest& request, Attempt& attempt, AttemptBook& book, Instant now);
  std::optional<Arrival> on_landed(const SlotsLanded& landed, Instant now);
  std::optional<Arrival> on_rejected(const SlotRejected& rejected);
  std::optional<Arrival> on_withdraw(const Withdraw& withdraw, Instant now);
  // What has not arrived will not: give up the grant, tell P, keep what is whole.
  std::optional<Arrival> lose(RequestId request, Instant now);
  std::optional<RequestId> request_of(TransferId transfer) const;

  // One wait of `request` ended. Nothing came of it unless an Arrival is returned or `over` is set (the attempt is forgotten).
  struct Outcome {
    std::optional<Arrival> arrival;
    bool over = false;
  };
  Outcome on_wait(Wait wait, RequestId request, Instant now);

  std::optional<std::uint64_t> first_queued_age() const;
  bool grant_first(bool keep_watermark, std::uint32_t keep_free, Instant now);      // false: it does not fit
  void drop(RequestId request);                            // frees everything, tells P
  bool cancel_choice(RequestId request, std::uint32_t choice);      // true: none is left
  // The requests whose KV was to come from `peer`; it is remembered as gone until it connects or offers something.
  std::vector<RequestId> peer_down(InstanceRef peer);
  void peer_up(InstanceRef peer);                          // grants it may never have had go again

  bool holds(RequestId request) const { return inbound_.contains(request); }
  std::uint32_t queued() const { return static_cast<std::uint32_t>(queue_.size()); }
  std::uint32_t moving() const { return static_cast<std::uint32_t>(transfers_.size()); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(inbound_.size()); }
  std::uint64_t tokens() const;
  std::uint32_t blocks() const;                            // granted, each once if no two requests share one
  template <class Visitor>
  void visit_references(Visitor visit) const {
    for (const auto& [request, inbound] : inbound_) for (const BlockId block : inbound.table.blocks()) visit(block);
  }
  void check_invariants() const;

 private:
  enum class Slot : std::uint8_t { awaited, landed, rejected };
  struct Inbound {
    RequestKey key;
    InstanceRef prefill;
    std::vector<TokenId> tokens;                 // whose KV it is; known with Reserve or DecodeRequest
    std::optional<DecodeRequest> request;
    std::optional<Offer> offer;
    Instant offered_at;
    bool reserved = false;                       // may be granted before it is offered
    bool lost = false;                           // no KV will come
    std::optional<std::uint64_t> queue_age;      // while it waits for room
    std::optional<TransferId> transfer;          // while slots are awaited, or all are there and a message is not
    BlockTable table;
    std::vector<Slot> slots;
    std::vector<std::uint64_t> digests;
    std::uint32_t settled = 0;
    std::uint32_t rejected = 0;
  };
  Inbound& inbound_of(const RequestKey& key, InstanceRef prefill);
  Inbound* find(TransferId transfer);
  void enqueue(Inbound& inbound, Attempt& attempt, AttemptBook& book);
  void dequeue(Inbound& inbound);
  std::optional<Arrival> advance(Inbound& inbound, Attempt& attempt, AttemptBook& book, Instant now);
  void grant(Inbound& inbound, Instant now);
  void await_blocks(const Inbound& inbound, Instant now);
  void send_grant(const Inbound& inbound);
  std::optional<Arrival> settle(Inbound& inbound);
  Arrival arrive(Inbound& inbound, std::uint32_t stored, bool landed);
  std::uint32_t whole_tokens(const Inbound& inbound) const;
  Duration renewal_interval(const Inbound& inbound) const;
  void close_transfer(Inbound& inbound, bool drop);
  void clear_waits(const Inbound& inbound);
  void tell_released(const Inbound& inbound, bool landed);

  bool is_gone(InstanceRef prefill) const { return std::ranges::find(gone_, prefill) != gone_.end(); }

  static constexpr std::size_t kGoneRemembered = 64;
  InstanceContext& context_;
  std::deque<InstanceRef> gone_;                 // peers that went down, the newest few
  std::map<RequestId, Inbound> inbound_;
  std::map<TransferId, RequestId> transfers_;
  std::map<std::uint64_t, RequestId> queue_;
  std::uint64_t transfer_base_;
  std::uint64_t transfers_drawn_ = 0;
};

}  // namespace baton
