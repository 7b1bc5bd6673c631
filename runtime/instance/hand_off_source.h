// P's side of a hand-off: prefilled requests whose KV is leased to a decode instance, and the sends under way.
//
//                  hold: Offer             Grant: SendBlocks           Release, or the lease's end
//   prefilled ───────────────► leased ──────────────────────► leased ───────────────────────────► gone
//                                         send: open ──────────────────────────► SendsComplete: gone
//                                                                                  failed: Withdraw, and the lease is gone too
//
// The two ends are independent: a lease holds a reference on the blocks, and so does a send until the fabric says that
// nothing of it is outstanding. The blocks are free (or prefix cache) when both are gone. A push by layer opens its send
// during the prefill. A send whose plans are in the device's hands is aborted when the step is done, since the step may still
// add to it. Sources: DistServe section 4.3 (pull), Splitwise section IV-C (by layer), Mooncake section 3 (layer-wise).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "runtime/instance/instance_context.h"
#include "runtime/instance/sequence.h"

namespace baton {

class HandOffSource {
 public:
  explicit HandOffSource(InstanceContext& context) : context_(context) {}

  // Push: D may grant before R's PrefillRequest is here. The newest few are kept; a forgotten one comes again after the Offer.
  void keep_early(const Grant& grant);
  std::optional<Grant> take_early(const RequestKey& key);
  void on_grant_before_end(const Grant& grant, Sequence& prefilling) const;
  void open_push(const Sequence& sequence);                            // SendBlocks{by_layer}; the composer plans the rest
  void hold(Sequence prefilled, std::uint64_t root, Instant now);      // Offer, and the sends if the grant is there
  void peer_up(InstanceRef peer) const;                                // offers it may never have had go again
  // Of a held request. An error if what is granted is not what was offered: the attempt is over.
  std::optional<Error> on_grant(const Grant& grant);
  void renew(const RenewLease& renewal, Instant now);
  bool release(const Release& release);                                // true: the receiver has it or gave up; the attempt is over
  // The request of sends that failed though nobody aborted them.
  std::optional<RequestId> sends_complete(const SendsComplete& done);
  bool withdraw(RequestId request, TransferId transfer) const;         // of a held one: tells D; true: the attempt is over
  void withdraw(const Sequence& prefilled, TransferId transfer) const; // of one that is not held
  void on_push_failed(TransferId transfer, Sequence& prefilling) const;
  void drop(RequestId request);                                        // the lease, and the sends still open

  void step_started(const StartStep& step);
  void step_ended();

  std::vector<RequestId> held_for(InstanceRef peer) const;
  InstanceRef held_by(RequestId request) const;                        // the decode instance that has the lease
  bool empty() const { return held_.empty() && sends_.empty(); }
  void collect_leased(std::vector<BlockId>& blocks) const;
  template <class Visitor>
  void visit_references(Visitor visit) const {
    for (const auto& [request, held] : held_) for (const BlockId block : held.sequence.table.blocks()) visit(block);
    for (const auto& [transfer, send] : sends_) for (const BlockId block : send.blocks) visit(block);
  }
  // Of all leases and sends, each once if no two requests share a block, as without a prefix cache.
  std::uint32_t blocks() const;
  bool holds(RequestId request) const { return held_.contains(request); }
  void check_invariants() const;

 private:
  struct Held {
    Sequence sequence;
    std::optional<TransferId> transfer;
    std::uint64_t root = 0;
  };
  void offer(const Held& held) const;
  struct Send {
    RequestId request;
    std::vector<BlockId> blocks;       // one reference each
    bool aborting = false;
  };
  void open(const Sequence& sequence, TransferId transfer, InstanceRef to, bool by_layer);
  void abort_sends_of(RequestId request);

  InstanceContext& context_;
  static constexpr std::size_t kEarlyGrants = 256;
  std::deque<Grant> early_;
  std::map<RequestId, Held> held_;
  std::map<TransferId, Send> sends_;
  std::set<TransferId> in_step_;       // named by a PushPlan of the step in flight
  std::vector<TransferId> abort_after_step_;
};

}  // namespace baton
