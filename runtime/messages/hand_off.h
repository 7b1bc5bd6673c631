// The hand-off of a request's KV from P to D. The receiver always grants first; bytes travel over the fabric, named by the
// transfer that the grant names. Slot s of a transfer is layer s / blocks, ordinal s % blocks of the request's block table.
// Source: DistServe section 4.3 (pull), Splitwise section IV-C (layer-wise push).
//
//   pull           P --Offer--> D        D --Grant--> P     P ==KV==> D    D --Release--> P
//   push by layer  R --Reserve--> D      D --Grant--> P     P ==KV, layer by layer==> D    P --Offer--> D    D --Release--> P
//   either         P's sends failed      P --Withdraw--> D  D recomputes what has not landed
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"

namespace baton {

// R -> D with the assignment, push by layer only: D allocates and grants before the prefill runs.
struct Reserve {
  RequestKey key;
  InstanceRef target;
  InstanceRef gateway;
  InstanceRef prefill;
  std::vector<TokenId> tokens;               // from which D derives the blocks' identity
  Duration time_left{};
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Reserve& x) {
  return f(x.key, x.target, x.gateway, x.prefill, x.tokens, x.time_left);
}

// P -> D: the KV of `tokens` tokens is complete and leased to you.
struct Offer {
  RequestKey key;
  InstanceRef from;
  InstanceRef target;
  std::uint32_t tokens = 0;
  std::uint32_t blocks = 0;
  std::uint64_t root_digest = 0;             // over the digests of all slots, in slot order; 0: digests are off
  Duration lease{};                          // ends unless renewed
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Offer& x) {
  return f(x.key, x.from, x.target, x.tokens, x.blocks, x.root_digest, x.lease);
}

// D -> P: send the blocks under this transfer.
struct Grant {
  RequestKey key;
  InstanceRef from;
  InstanceRef target;
  TransferId transfer;
  std::uint32_t blocks = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Grant& x) {
  return f(x.key, x.from, x.target, x.transfer, x.blocks);
}

// P -> D: the sends of this transfer failed. No more of it will come, and no Offer if there was none; P holds nothing any longer.
struct Withdraw {
  RequestKey key;
  InstanceRef from;
  InstanceRef target;
  TransferId transfer;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Withdraw& x) {
  return f(x.key, x.from, x.target, x.transfer);
}

// D -> P while the offer waits or the transfer makes progress.
struct RenewLease {
  RequestKey key;
  InstanceRef from;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RenewLease& x) {
  return f(x.key, x.from);
}

// D -> P: the KV is no longer needed (it landed, or D gave up); P unpins once its own sends are complete.
struct Release {
  RequestKey key;
  InstanceRef from;
  bool landed = false;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Release& x) {
  return f(x.key, x.from, x.landed);
}

}  // namespace baton
