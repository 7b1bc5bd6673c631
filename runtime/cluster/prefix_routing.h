// Routing to where a prompt's beginning was computed before: prefix_aware.
//
// The scheduler remembers by itself which beginnings of prompts it sent where; instances report nothing of their caches. So it may
// believe in blocks that were evicted since, or in a prompt that was refused after all: the cost is one wrong choice. Of a beginning
// the last four instances are remembered, and of beginnings the last 65,536 or half as many.
//
//   cost of an instance = tokens pending there + (the prompt's tokens - those of its longest beginning that was sent there)
//
// The lowest cost gets the prompt; of equals the one with the longer beginning, then with fewer requests, then of the lowest id. A
// prompt comes back to its cache unless the queue there is longer, by more than the tokens saved. Decode instances are chosen as by
// jsq. Source: Mooncake's Algorithm 1 (FAST'25, section 6.1) without its transfers, tokens in place of times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/cluster/routing.h"

namespace baton {

// Which instances were sent the prompts that begin so. Bounded: what was not used for long is forgotten.
class PrefixMemory {
 public:
  static constexpr std::size_t kMostHolders = 4;

  explicit PrefixMemory(std::size_t most) : half_(most / 2) {}

  void remember(std::span<const std::uint64_t> prefix, InstanceId instance);
  std::span<const InstanceId> holders(std::uint64_t name) const;       // the newest first; until the next call of another member
  void forget(InstanceId instance);
  std::size_t size() const { return young_.size() + old_.size(); }

 private:
  using Holders = std::vector<InstanceId>;
  Holders& entry(std::uint64_t name);

  std::size_t half_;
  std::unordered_map<std::uint64_t, Holders> young_, old_;     // when the young are half of all, they become the old
};

std::unique_ptr<RoutingPolicy> make_prefix_aware();

}  // namespace baton
