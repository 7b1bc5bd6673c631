// Which keys a cluster file has, once for reading and writing: each function visits the keys of one section with a visitor that
// has ConfigReader's methods. `d` holds the defaults; the writer leaves out what equals them. Private to runtime/config/*.cc.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/config/cluster_config.h"

namespace baton {

inline constexpr std::uint32_t kMostTokens = 1u << 24;
inline constexpr std::uint32_t kMostRequests = 1'000'000;

template <class Visitor>
void visit(Visitor& v, InstanceConfig& c, const InstanceConfig& d) {
  v.number("threads", c.threads, d.threads, 1u, 1024u);
  v.number("kv_blocks", c.kv_blocks, d.kv_blocks, 1u, kMostTokens);
  v.number("kv_memory_mib", c.kv_memory_mib, d.kv_memory_mib, 1u, 1u << 24);
  v.choice("block_size", c.block_size, d.block_size,
           std::vector<std::pair<std::string, std::uint32_t>>{{"16", 16}, {"32", 32}, {"64", 64}});
  v.number("max_model_len", c.max_model_len, d.max_model_len, 1u, kMostTokens);
  v.choice("kv_dtype", c.kv_dtype, d.kv_dtype,
           std::vector<std::pair<std::string, KvType>>{{"bf16", KvType::bf16}, {"f32", KvType::f32}});
  v.text("queue_order", c.queue_order, d.queue_order);
  v.milliseconds("queue_ageing_ms", c.queue_ageing, d.queue_ageing);
  v.number("prefill_token_budget", c.prefill_token_budget, d.prefill_token_budget, 1u, kMostTokens);
  v.number("chunk_tokens", c.chunk_tokens, d.chunk_tokens, 0u, kMostTokens);
  v.number("max_waiting", c.max_waiting, d.max_waiting, 1u, kMostRequests);
  v.number("max_running", c.max_running, d.max_running, 1u, 65536u);
  v.number("watermark_blocks", c.watermark_blocks, d.watermark_blocks, 0u, kMostTokens);
  v.flag("prefix_cache", c.prefix_cache, d.prefix_cache);
  v.flag("verify_kv", c.verify_kv, d.verify_kv);
  v.milliseconds("lease_ms", c.lease, d.lease);
  v.milliseconds("transfer_deadline_ms", c.transfer_deadline, d.transfer_deadline);
  v.milliseconds("reserve_deadline_ms", c.reserve_deadline, d.reserve_deadline);
  v.milliseconds("report_interval_ms", c.report_interval, d.report_interval);
}

template <class Visitor>
void visit(Visitor& v, SchedulerConfig& c, const SchedulerConfig& d) {
  v.text("routing", c.routing, d.routing);
  v.text("admission", c.admission, d.admission);
  v.milliseconds("slo_ttft_ms", c.slo_ttft, d.slo_ttft);
  v.milliseconds("slo_itl_ms", c.slo_itl, d.slo_itl);
  v.choice("hand_off", c.hand_off, d.hand_off,
           std::vector<std::pair<std::string, HandOffMode>>{{"pull", HandOffMode::pull}, {"push_by_layer", HandOffMode::push_by_layer}});
  v.number("max_waiting", c.max_waiting, d.max_waiting, 1u, kMostRequests);
  v.milliseconds("report_timeout_ms", c.report_timeout, d.report_timeout);
  v.number("seed", c.seed, d.seed, std::uint64_t{0}, ~std::uint64_t{0});
}

template <class Visitor>
void visit(Visitor& v, LimitsConfig& c, const LimitsConfig& d) {
  v.milliseconds("request_deadline_ms", c.request_deadline, d.request_deadline);
  v.milliseconds("assign_deadline_ms", c.assign_deadline, d.assign_deadline);
  v.number("max_attempts", c.max_attempts, d.max_attempts, 1u, 1000u);
  v.number("max_choices", c.max_choices, d.max_choices, 1u, 128u);
  v.number("max_connections", c.max_connections, d.max_connections, 1u, kMostRequests);
  v.number("max_header_kib", c.max_header_kib, d.max_header_kib, 1u, 1024u);
  v.number("max_body_mib", c.max_body_mib, d.max_body_mib, 1u, 1024u);
  v.milliseconds("idle_timeout_ms", c.idle_timeout, d.idle_timeout);
}

template <class Visitor>
void visit(Visitor& v, ControlConfig& c, const ControlConfig& d) {
  v.milliseconds("heartbeat_ms", c.heartbeat, d.heartbeat);
  v.milliseconds("timeout_ms", c.timeout, d.timeout);
  v.number("threads", c.threads, d.threads, 1u, 256u);
}

template <class Visitor>
void visit(Visitor& v, SecurityConfig& c, const SecurityConfig& d) {
  v.flag("insecure", c.insecure, d.insecure);
  v.text("ca", c.ca, d.ca);
  v.text("certificate", c.certificate, d.certificate);
  v.text("key", c.key, d.key);
}

// What belongs to a node but not to its instance. Each role has its own keys; `only_elsewhere` refuses the others' by name.
template <class Visitor>
void visit(Visitor& v, NodeConfig& c, const NodeConfig& d) {
  v.text("name", c.name, d.name);
  v.choice("role", c.role, d.role,
           std::vector<std::pair<std::string, Role>>{{"gateway", Role::gateway}, {"scheduler", Role::scheduler},
                                                     {"prefill", Role::prefill}, {"decode", Role::decode}, {"mixed", Role::mixed}});
  v.address("control", c.control, d.control, true, false);
  v.only_elsewhere(c.role == Role::scheduler ? "a scheduler runs no model" : "");
  v.text("model", c.model, d.model);
  v.only_elsewhere(c.role == Role::gateway ? "" : "only a gateway serves HTTP");
  v.address("http", c.http, d.http, true, true);
  v.only_elsewhere(is_instance(c.role) ? "" : "only a prefill, decode or mixed node has it");
  v.address("data", c.data, d.data, false, true);
  visit(v, c.instance, d.instance);
  v.only_elsewhere("");
}

}  // namespace baton
