// What a node counts, for /metrics and /cluster: asked for by a gateway, answered at once with values as of now.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/messages/membership.h"

namespace baton {

struct StatsRequest {
  InstanceRef from;
  std::uint64_t question = 0;            // comes back in the answer
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, StatsRequest& x) {
  return f(x.from, x.question);
}

struct NodeStats {
  InstanceRef self;
  std::uint64_t question = 0;
  LoadReport load;
  // Counters since the node's start.
  std::uint64_t prompt_tokens_computed = 0;
  std::uint64_t prompt_tokens_cached = 0;
  std::uint64_t recomputed_tokens = 0;
  std::uint64_t generated_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t leases_ended = 0;
  std::uint64_t prefix_queries_tokens = 0;
  std::uint64_t prefix_hits_tokens = 0;
  std::string transport;                 // "ucx"; empty: the node moves no KV
  std::uint64_t kv_bytes_received = 0;
  std::uint64_t kv_bytes_sent = 0;
  std::uint64_t kv_blocks_verified = 0;            // (layer, block) slots
  std::uint64_t kv_rejected_digest = 0;
  std::uint64_t kv_rejected_no_grant = 0;
  std::uint64_t kv_rejected_other = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, NodeStats& x) {
  return f(x.self, x.question, x.load, x.prompt_tokens_computed, x.prompt_tokens_cached, x.recomputed_tokens,
           x.generated_tokens, x.preemptions, x.leases_ended, x.prefix_queries_tokens, x.prefix_hits_tokens, x.transport,
           x.kv_bytes_received, x.kv_bytes_sent, x.kv_blocks_verified, x.kv_rejected_digest, x.kv_rejected_no_grant,
           x.kv_rejected_other);
}

}  // namespace baton
