// In which order the prompts of one instance are computed, by name. It orders those that wait for a place, and, chunk by chunk,
// those that have one: a prompt may go ahead of one that has begun. Built in, and coming in by the same door as anybody's:
//
//   fcfs    by age (first come, first served)
//   srpt    the fewest tokens still to compute first (shortest remaining processing time). What the prefix cache holds is found
//           when a prompt gets its place: until then all of it counts
//   mlfq    multi-level feedback queues: the fewest tokens computed so far, in levels. A prompt may compute `quantum_tokens` in the
//           first, twice as many in each next one; it sinks when it used up its level's (FastServe, arXiv 2305.05920)
//
// Ageing bounds the wait whatever the order: a prompt that came `queue_ageing` ago goes before all that did not, the oldest first.
// A long one so waits at most that, and then for what is older than it. What recomputes output that a client already sees flow goes
// as if it had aged. By fcfs ageing changes nothing, and nothing overtakes.
//
// Push by layer: a prompt that has no place at its decode instance yet goes behind those that have, by age: having overtaken, it would
// wait for memory there that is kept for whom it overtook.
//
// Register before the first instance is made, from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

struct QueuedPrompt {
  std::uint32_t pending = 0;             // tokens still to compute
  std::uint32_t computed = 0;            // tokens computed for it here, also those lost to a preemption; not those found cached
};

class QueueOrder {
 public:
  virtual ~QueueOrder() = default;
  virtual std::uint64_t key(const QueuedPrompt& prompt) const = 0;      // the lowest goes first; ties by age
  virtual bool overtakes() const { return true; }                      // false: by age alone, and key() is not asked
};

struct QueueOrderOptions {
  std::uint32_t quantum_tokens = 512;    // of mlfq's first level; at least 1
};

using QueueOrderFactory = std::function<std::unique_ptr<QueueOrder>(const QueueOrderOptions&)>;

// Errors: invalid_argument when the name is taken or empty.
Status register_queue_order(const std::string& name, QueueOrderFactory factory);

// Errors: invalid_config, naming the nearest known name or all of them.
Result<std::unique_ptr<QueueOrder>> make_queue_order(std::string_view name, const QueueOrderOptions& options = {});

std::vector<std::string> queue_order_names();      // sorted

}  // namespace baton
