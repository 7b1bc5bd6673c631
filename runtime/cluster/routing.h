// A routing policy: which of the suitable instances gets the next request. Pure: the same candidates, loads and draws give the
// same choice. One object serves one scheduler; it may keep state (a round robin's place).
//
// Loads lie in arrays, one element per instance, and candidates are indices into them, so that a decision touches little memory
// and allocates nothing: with 1,000 instances a scan is a few microseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "runtime/base/ids.h"
#include "runtime/base/random.h"

namespace baton {

// What the scheduler believes of one instance: its last report and what was assigned since.
struct InstanceLoad {
  InstanceId id;
  std::uint64_t pending_tokens = 0;      // of prompts not yet computed, and for decode: output still to come
  std::uint32_t running = 0;             // requests assigned and not ended
  std::uint32_t blocks_free = 0;
  std::uint32_t blocks_total = 0;
};

enum class Part : std::uint8_t { prefill, decode };

struct RoutingQuestion {
  Part part = Part::prefill;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_output_tokens = 0;
  std::span<const InstanceLoad> loads;           // of every instance
  std::span<const std::uint32_t> candidates;     // indices into loads, ascending, at least one
  // Names of the prompt's first prefix_stride, 2 * prefix_stride, ... tokens (AssignRequest::prefix).
  std::span<const std::uint64_t> prefix;
  std::uint32_t prefix_stride = 0;
};

class RoutingPolicy {
 public:
  virtual ~RoutingPolicy() = default;
  // Returns an index into loads that is among the candidates.
  virtual std::uint32_t choose(const RoutingQuestion& question, Random& random) = 0;
  // The instance is gone, or comes again with nothing of what it had.
  virtual void left(InstanceId) {}
};

}  // namespace baton
