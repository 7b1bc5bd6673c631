#include "actors/gateway/metrics.h"

#include <algorithm>
#include <functional>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

namespace baton::gateway {

namespace {

const std::vector<double> kLatency = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                      1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
const std::vector<double> kGap = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
                                  0.4,   0.5,    0.75,  1,    2.5,   5,    7.5,   10,  20,   40,  80};
const std::vector<double> kLength = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

std::string escaped(const std::string& label) {
  std::string out;
  for (const char c : label) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

void head(std::string& out, const std::string& name, const char* type, const std::string& help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

}  // namespace

void Histogram::observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += value;
}

void Histogram::write(std::string& out, const std::string& name, const std::string& labels, const std::string& help) const {
  head(out, name, "histogram", help);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    total += counts_[i];
    out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bounds_[i], total);
  }
  total += counts_.back();
  out += fmt::format("{0}_bucket{{{1},le=\"+Inf\"}} {2}\n{0}_sum{{{1}}} {3}\n{0}_count{{{1}}} {2}\n", name, labels, total, sum_);
}

GatewayMetrics::GatewayMetrics()
    : ttft_(kLatency), itl_(kGap), tpot_(kGap), e2e_(kLatency), prompt_lengths_(kLength), output_lengths_(kLength) {
  for (const char* reason : {"stop", "length", "abort", "error"}) finished_[reason] = 0;
}

void GatewayMetrics::choice_finished(const std::string& reason, Duration first_to_last, std::uint32_t tokens) {
  ++finished_[reason];
  if (tokens > 1) tpot_.observe(seconds(first_to_last) / (tokens - 1));
  output_lengths_.observe(tokens);
}

void GatewayMetrics::request_finished(Duration end_to_end, const RequestOutcome& outcome) {
  e2e_.observe(seconds(end_to_end));
  prompt_lengths_.observe(outcome.prompt_tokens);
  prompt_tokens_ += outcome.prompt_tokens;
  generation_tokens_ += outcome.completion_tokens;
  recoveries_prefill_ += outcome.recoveries_prefill;
  recoveries_decode_ += outcome.recoveries_decode;
  if (outcome.error) ++finished_[outcome.error->code == ErrorCode::cancelled ? "abort" : "error"];
}

void GatewayMetrics::write_nodes(std::string& out, const ClusterView& cluster, const std::string& model) const {
  struct Row {
    const char* name;
    const char* type;
    const char* help;
    std::function<double(const NodeStats&)> value;
  };
  const Row rows[] = {
      {"vllm:kv_cache_usage_perc", "gauge", "KV blocks in use, as a share of all (1 is full).",
       [](const NodeStats& s) { return s.load.blocks_total ? double(s.load.blocks_used) / s.load.blocks_total : 0.0; }},
      {"vllm:num_preemptions_total", "counter", "Sequences preempted and recomputed.",
       [](const NodeStats& s) { return double(s.preemptions); }},
      {"vllm:prefix_cache_queries_total", "counter", "Prompt tokens looked up in the prefix cache.",
       [](const NodeStats& s) { return double(s.prefix_queries_tokens); }},
      {"vllm:prefix_cache_hits_total", "counter", "Prompt tokens found in the prefix cache.",
       [](const NodeStats& s) { return double(s.prefix_hits_tokens); }},
      {"baton:kv_blocks_verified_total", "counter", "(layer, block) slots received whose digest was right.",
       [](const NodeStats& s) { return double(s.kv_blocks_verified); }},
      {"baton:recomputed_tokens_total", "counter", "Tokens run again after preemption, loss or rejection.",
       [](const NodeStats& s) { return double(s.recomputed_tokens); }},
      {"baton:leases_ended_total", "counter", "Hand-offs whose lease ended before the receiver released it.",
       [](const NodeStats& s) { return double(s.leases_ended); }},
      {"baton:blocks_total", "gauge", "KV blocks of the instance.",
       [](const NodeStats& s) { return double(s.load.blocks_total); }},
      {"baton:blocks_used", "gauge", "KV blocks referenced.",
       [](const NodeStats& s) { return double(s.load.blocks_used); }},
      {"baton:blocks_leased", "gauge", "KV blocks held for a hand-off.",
       [](const NodeStats& s) { return double(s.load.blocks_leased); }},
      {"baton:instance_running", "gauge", "Sequences in the instance's batch.",
       [](const NodeStats& s) { return double(s.load.running); }},
      {"baton:instance_waiting", "gauge", "Requests waiting at the instance.",
       [](const NodeStats& s) { return double(s.load.waiting); }},
  };
  const auto labels = [&](const NodeView& node) {
    return fmt::format("model_name=\"{}\",engine=\"{}\",role=\"{}\"", escaped(model), escaped(node.hello.name), to_string(node.hello.role));
  };
  for (const Row& row : rows) {
    head(out, row.name, row.type, row.help);
    for (const NodeView& node : cluster.nodes) {
      if (is_instance(node.hello.role)) out += fmt::format("{}{{{}}} {}\n", row.name, labels(node), row.value(node.stats));
    }
  }
  head(out, "baton:kv_bytes_received_total", "counter", "KV bytes received and verified.");
  for (const NodeView& node : cluster.nodes) {
    if (!is_instance(node.hello.role)) continue;
    const std::string transport = node.stats.transport.empty() ? "ucx" : node.stats.transport;
    out += fmt::format("baton:kv_bytes_received_total{{transport=\"{}\",{}}} {}\n", transport, labels(node), node.stats.kv_bytes_received);
  }
  head(out, "baton:kv_blocks_rejected_total", "counter", "(layer, block) slots received and not used.");
  for (const NodeView& node : cluster.nodes) {
    if (!is_instance(node.hello.role)) continue;
    const std::pair<const char*, std::uint64_t> reasons[] = {
        {"digest", node.stats.kv_rejected_digest}, {"no_grant", node.stats.kv_rejected_no_grant}, {"other", node.stats.kv_rejected_other}};
    for (const auto& [reason, count] : reasons) {
      out += fmt::format("baton:kv_blocks_rejected_total{{reason=\"{}\",{}}} {}\n", reason, labels(node), count);
    }
  }
  head(out, "baton:node_ready", "gauge", "1 while the node serves.");
  for (const NodeView& node : cluster.nodes) out += fmt::format("baton:node_ready{{{}}} {}\n", labels(node), node.state == "ready" ? 1 : 0);
}

std::string GatewayMetrics::text(const ClusterView& cluster, const std::string& model) const {
  const std::string labels = fmt::format("model_name=\"{}\",engine=\"gateway\"", escaped(model));
  std::string out;
  const auto single = [&](const char* name, const char* type, const char* help, std::uint64_t value) {
    head(out, name, type, help);
    out += fmt::format("{}{{{}}} {}\n", name, labels, value);
  };
  single("vllm:num_requests_running", "gauge", "Requests being served.", cluster.requests_running);
  single("vllm:num_requests_waiting", "gauge", "Requests without a first token yet.", cluster.requests_waiting);
  single("vllm:prompt_tokens_total", "counter", "Prompt tokens of ended requests.", prompt_tokens_);
  single("vllm:generation_tokens_total", "counter", "Output tokens of ended requests.", generation_tokens_);
  ttft_.write(out, "vllm:time_to_first_token_seconds", labels, "First token's arrival at the gateway minus the request's.");
  itl_.write(out, "vllm:inter_token_latency_seconds", labels, "Gap between two tokens of a choice.");
  tpot_.write(out, "vllm:request_time_per_output_token_seconds", labels, "Mean gap over a choice of two tokens or more.");
  e2e_.write(out, "vllm:e2e_request_latency_seconds", labels, "Last token or error minus arrival.");
  prompt_lengths_.write(out, "vllm:request_prompt_tokens", labels, "Prompt lengths.");
  output_lengths_.write(out, "vllm:request_generation_tokens", labels, "Output lengths, by choice.");
  head(out, "vllm:request_success_total", "counter", "Ended choices by reason; abort and error count requests.");
  for (const auto& [reason, count] : finished_)
    out += fmt::format("vllm:request_success_total{{{},finished_reason=\"{}\"}} {}\n", labels, reason, count);
  head(out, "baton:recoveries_total", "counter", "Dispatches beyond the first, by the phase that failed.");
  out += fmt::format("baton:recoveries_total{{phase=\"prefill\"}} {}\nbaton:recoveries_total{{phase=\"decode\"}} {}\n",
                     recoveries_prefill_, recoveries_decode_);
  head(out, "baton:http_responses_total", "counter", "Answers by path and status.");
  for (const auto& [key, count] : http_)
    out += fmt::format("baton:http_responses_total{{path=\"{}\",code=\"{}\"}} {}\n", escaped(key.first), key.second,
                       count);
  write_nodes(out, cluster, model);
  return out;
}

std::string cluster_json(const ClusterView& cluster) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const NodeView& node : cluster.nodes) {
    const LoadReport& load = node.stats.load;
    nodes.push_back({{"name", node.hello.name}, {"role", to_string(node.hello.role)}, {"pid", node.hello.pid},
                     {"incarnation", node.hello.self.incarnation.value}, {"address", node.hello.control_address},
                     {"state", node.state}, {"running", load.running}, {"waiting", load.waiting},
                     {"blocks_total", load.blocks_total}, {"blocks_used", load.blocks_used}, {"blocks_leased", load.blocks_leased}});
  }
  return nlohmann::json{{"nodes", std::move(nodes)},
                        {"requests", {{"running", cluster.requests_running}, {"waiting", cluster.requests_waiting}}}}
      .dump();
}

}  // namespace baton::gateway
