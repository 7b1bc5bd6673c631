// Which instances this one cannot hand KV to or take it from, for the load report: the scheduler pairs others where it can. Nothing
// here decides about a request: one that is given to such a pair all the same waits, fails or recomputes by its own rules.
//
//   needed ──never connected──► unreachable ◄──disconnected, or the KV link lost── reachable
//                                    └────────connected, or the KV link back──────────▲
//
// The control connection and the fabric's link live and die apart; a new control connection is taken to have a link until it fails.
#pragma once

#include <algorithm>
#include <set>
#include <vector>

#include "runtime/messages/membership.h"

namespace baton {

class PartnerLinks {
 public:
  void needed(InstanceRef partner) {                 // a request names it
    if (!connected_.contains(partner)) miss(partner);
  }
  void connected(InstanceRef partner) {
    connected_.insert(partner);
    std::erase_if(unreachable_, [&](const InstanceRef& other) { return other.id == partner.id; });      // older lives too
  }
  void disconnected(InstanceRef partner) {
    if (connected_.erase(partner) > 0) miss(partner);
  }
  void kv_link_down(InstanceRef partner) {
    if (connected_.contains(partner)) miss(partner);
  }
  void kv_link_up(InstanceRef partner) {
    if (connected_.contains(partner)) std::erase(unreachable_, partner);
  }

  const std::vector<InstanceRef>& unreachable() const { return unreachable_; }

 private:
  void miss(InstanceRef partner) {
    std::erase(unreachable_, partner);
    unreachable_.push_back(partner);
    if (unreachable_.size() > LoadReport::kMaxUnreachable) unreachable_.erase(unreachable_.begin());
  }

  std::set<InstanceRef> connected_;
  std::vector<InstanceRef> unreachable_;             // newest last
};

}  // namespace baton
