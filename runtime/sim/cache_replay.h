// A trace's blocks through one cache, without time, instances or tokens: what share of them a cache of a given size and eviction policy
// would have held. Every block of every request is looked up in order; a found one is a use of it, a missing one takes a place, of
// another if the cache is full. Source: Mooncake (arXiv v3) section 4, Table 1; FAST'25 section 2.2.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/sim/trace.h"

namespace baton::sim {

struct CacheReplay {
  std::uint64_t requests = 0;
  std::uint64_t references = 0;            // blocks of all requests
  std::uint64_t distinct = 0;
  std::uint64_t hits = 0;
  std::uint64_t prefix_hits = 0;           // hits with no miss before them in their request: what prefill could skip
  std::uint64_t evictions = 0;

  double block_hit_rate() const { return rate(hits); }
  double prefix_hit_rate() const { return rate(prefix_hits); }

 private:
  double rate(std::uint64_t count) const { return references == 0 ? 0 : static_cast<double>(count) / static_cast<double>(references); }
};

// `policy` is one of runtime/kv/eviction_registry.h; capacity 0 is no bound. Errors: invalid_argument for an unknown policy, or a trace
// without block ids.
Result<CacheReplay> replay_cache(const Trace& trace, std::string_view policy, std::uint64_t capacity_blocks);

}  // namespace baton::sim
