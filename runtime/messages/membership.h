// Who is there: what a node says of itself, and how loaded it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kv_layout.h"
#include "runtime/base/ids.h"

namespace baton {

enum class Role : std::uint8_t { gateway, scheduler, prefill, decode, mixed };
const char* to_string(Role role);
constexpr bool is_instance(Role role) { return role == Role::prefill || role == Role::decode || role == Role::mixed; }
constexpr bool can_prefill(Role role) { return role == Role::prefill || role == Role::mixed; }
constexpr bool can_decode(Role role) { return role == Role::decode || role == Role::mixed; }

// What two instances must agree on before KV may move between them, or tokens be continued by the other.
struct KvIdentity {
  std::uint64_t model_fingerprint = 0;   // hash of weights' metadata and contents
  std::uint64_t kernel_identity = 0;     // version of the numerics contract (equal over all CPU ISAs)
  KvType type = KvType::bf16;
  std::uint32_t block_tokens = 16;       // the partition half: may differ once instances span processes
  bool operator==(const KvIdentity&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, KvIdentity& x) {
  return f(x.model_fingerprint, x.kernel_identity, x.type, x.block_tokens);
}

// The first message on every connection, sent by both sides and again after every reconnect.
struct Hello {
  InstanceRef self;
  std::string name;                      // of the node, unique in the cluster file
  Role role = Role::mixed;
  std::uint32_t protocol = 1;            // version of the control plane's messages
  std::uint32_t ucx_major = 0;
  std::uint32_t ucx_minor = 0;
  std::string model;                     // empty for a scheduler
  KvIdentity kv;
  std::uint32_t max_model_len = 0;       // tokens
  std::uint32_t blocks_total = 0;
  std::string control_address;           // host:port
  std::string data_address;              // host:port of the fabric's listener; empty for gateway and scheduler
  std::uint64_t data_token = 0;          // what a peer must present to the fabric's listener
  std::int64_t pid = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Hello& x) {
  return f(x.self, x.name, x.role, x.protocol, x.ucx_major, x.ucx_minor, x.model, x.kv, x.max_model_len, x.blocks_total,
           x.control_address, x.data_address, x.data_token, x.pid);
}

// The answer to a Hello that cannot be worked with; both sides log it by name and do not pair.
struct HelloRefused {
  InstanceRef self;
  std::string name;
  std::string reason;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, HelloRefused& x) {
  return f(x.self, x.name, x.reason);
}

// Sent by an instance to the scheduler and to gateways when it changed (coalesced) and at every heartbeat.
struct LoadReport {
  InstanceRef self;
  std::uint64_t sequence = 0;            // an older one that arrives later is ignored
  std::uint32_t waiting = 0;             // requests
  std::uint32_t running = 0;             // sequences in the batch
  std::uint32_t queue_capacity = 0;      // requests
  std::uint64_t pending_prefill_tokens = 0;
  std::uint64_t context_tokens = 0;      // held by running and offered sequences
  std::uint32_t blocks_total = 0;
  std::uint32_t blocks_used = 0;         // referenced; cached but unreferenced blocks count as free
  std::uint32_t blocks_leased = 0;       // held for a hand-off, on either side
  std::uint64_t prefill_tokens_per_s = 0;  // as measured over the last steps full of prompts; 0: not known
  std::uint32_t decode_step_us = 0;      // mean duration of the last steps with decodes; 0: not known, or nothing runs
  bool draining = false;
  std::vector<InstanceRef> unreachable;  // partners of hand-offs that it has no connection to; at most kMaxUnreachable, the newest
  static constexpr std::size_t kMaxUnreachable = 16;
  bool operator==(const LoadReport&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, LoadReport& x) {
  return f(x.self, x.sequence, x.waiting, x.running, x.queue_capacity, x.pending_prefill_tokens, x.context_tokens,
           x.blocks_total, x.blocks_used, x.blocks_leased, x.prefill_tokens_per_s, x.decode_step_us, x.draining, x.unreachable);
}

}  // namespace baton
