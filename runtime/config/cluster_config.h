// A cluster file: which nodes there are, where they listen, what they serve and by which rules. YAML; every key has a default
// but a node's name, role and control address. Unknown keys are refused and the nearest known one is named; every error says
// file, line and key path:  cluster.yaml:12: nodes[1].rolle: unknown key; did you mean "role"?
//
//   model: ~/models/SmolLM2-135M-Instruct.Q4_1.gguf
//   nodes:
//     - {name: gateway,   role: gateway,   control: 10.0.0.1:9000, http: 0.0.0.0:8000}
//     - {name: scheduler, role: scheduler, control: 10.0.0.1:9001}
//     - {name: prefill0,  role: prefill,   control: 10.0.0.2:9000, data: 10.0.0.2}
//     - {name: decode0,   role: decode,    control: 10.0.0.3:9000, data: 10.0.0.3}
//   scheduler: {routing: jsq, hand_off: pull}
//
// What a node leaves out it takes from `instances:`, the cluster-wide defaults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kv_layout.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/messages/membership.h"
#include "runtime/messages/request.h"

namespace baton {

struct ModelSpec;

struct HostPort {
  std::string host;                            // a name, an IPv4 or a bracketless IPv6 address
  std::uint16_t port = 0;                      // 0: any free one (data only)
  bool operator==(const HostPort&) const = default;
};
std::string to_string(const HostPort& address);            // [::1]:80 for IPv6

inline constexpr std::uint32_t kUsualModelLen = 8192;      // tokens

// Of an instance; a node's own keys override the cluster's `instances:`.
struct InstanceConfig {
  std::uint32_t threads = 1;                   // of the device; 1 .. 1024
  std::uint32_t kv_blocks = 0;                 // of the pool; 0: as many as kv_memory_mib holds
  std::uint32_t kv_memory_mib = 512;           // used when kv_blocks is 0
  std::uint32_t block_size = 16;               // tokens: 16, 32 or 64
  std::uint32_t max_model_len = 0;             // tokens; 0: kUsualModelLen, or the model's longest where that is less
  KvType kv_dtype = KvType::bf16;              // bf16, f32
  std::string queue_order = "fcfs";            // of prompts; a name of runtime/instance/queue_order.h
  Duration queue_ageing = Milliseconds{5000};  // a prompt that came so long ago goes first
  std::uint32_t prefill_token_budget = 2048;   // of one step
  std::uint32_t chunk_tokens = 512;            // of one prompt in one step; 0: whole prompts
  std::uint32_t max_waiting = 256;             // requests
  std::uint32_t max_running = 256;             // sequences in a batch
  std::uint32_t watermark_blocks = 8;
  bool prefix_cache = true;
  bool verify_kv = true;
  Duration lease = Milliseconds{2000};         // keys of durations end in their unit: lease_ms
  Duration transfer_deadline = Milliseconds{10000};
  Duration reserve_deadline = Milliseconds{1000};
  Duration report_interval = Milliseconds{200};
  bool operator==(const InstanceConfig&) const = default;
};

// The tokens of a request at most, prompt and output, at an instance of this model.
std::uint32_t length_of(const InstanceConfig& config, const ModelSpec& model);
// Blocks of the instance's pool, of which each takes `block_bytes` over all layers; at least one.
std::uint32_t kv_blocks_of(const InstanceConfig& config, std::uint64_t block_bytes);

struct NodeConfig {
  std::string name;                            // letters, digits, '-', '_', '.'; at most 63
  Role role = Role::mixed;
  HostPort control;                            // of the control plane; a port of its own
  HostPort data;                               // of the KV transfers; 127.0.0.1, any port, unless told
  HostPort http;                               // a gateway's; 127.0.0.1:8000 unless told
  std::string model;                           // the cluster's unless told; a gateway needs it for the tokenizer
  InstanceConfig instance;
  bool operator==(const NodeConfig&) const = default;
};

struct SchedulerConfig {
  std::string routing = "jsq";                 // a name of runtime/cluster/routing_registry.h
  std::string admission = "none";              // a name of runtime/cluster/admission.h
  Duration slo_ttft = Milliseconds{30'000};    // of early_rejection
  Duration slo_itl = Milliseconds{100};
  HandOffMode hand_off = HandOffMode::pull;    // pull, push_by_layer
  std::uint32_t max_waiting = 1024;            // requests over the suitable instances
  Duration report_timeout = Milliseconds{3000};
  std::uint64_t seed = 1;
  bool operator==(const SchedulerConfig&) const = default;
};

struct LimitsConfig {                          // of requests and HTTP
  Duration request_deadline = Milliseconds{600000};
  Duration assign_deadline = Milliseconds{5000};
  std::uint32_t max_attempts = 8;
  std::uint32_t max_choices = 128;             // n of a request
  std::uint32_t max_connections = 4096;
  std::uint32_t max_header_kib = 16;
  std::uint32_t max_body_mib = 16;
  Duration idle_timeout = Milliseconds{60000}; // of an HTTP connection without a request
  bool operator==(const LimitsConfig&) const = default;
};

struct ControlConfig {                         // heartbeats of the control plane
  Duration heartbeat = Milliseconds{200};
  Duration timeout = Milliseconds{2500};      // of silence: a peer is down; a busy machine stalls for over a second
  std::uint32_t threads = 2;
  bool operator==(const ControlConfig&) const = default;
};

struct SecurityConfig {                        // mutual TLS of the control plane; all three files, or insecure by name
  bool insecure = false;
  std::string ca;
  std::string certificate;                     // may hold {name}, replaced by the node's name
  std::string key;                             // the same
  bool operator==(const SecurityConfig&) const = default;
};

struct ClusterConfig {
  std::string model;                           // path of a GGUF file or a Hugging Face directory; empty: the cached default
  std::string served_name;                     // of the model to clients; empty: from the file
  std::string chat_template;                   // chatml, llama3; empty: as the model says
  InstanceConfig instances;
  std::vector<NodeConfig> nodes;
  SchedulerConfig scheduler;
  LimitsConfig limits;
  ControlConfig control;
  SecurityConfig security;
  bool operator==(const ClusterConfig&) const = default;

  const NodeConfig* find(std::string_view name) const;
};

// Errors: not_found, io_error (the file), invalid_config (what it says). `name` stands for the file in errors. Relative paths in a
// loaded file are from its folder; `~` is left to the caller.
Result<ClusterConfig> load_cluster_config(const std::string& path);
Result<ClusterConfig> parse_cluster_config(std::string_view text, const std::string& name);

// parse_cluster_config(to_yaml(c)) is c, for every c that parse_cluster_config can give.
std::string to_yaml(const ClusterConfig& config);

// What no single key can say: names and addresses are unique, there is one scheduler, a gateway, and instances that together
// prefill and decode. parse_cluster_config ends with it; for those who build a config themselves.
Status check_cluster_config(const ClusterConfig& config, const std::string& name);

}  // namespace baton
