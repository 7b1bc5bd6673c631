// What the gateway counts and how /metrics shows it, Prometheus' text format. Names are vLLM's where the meaning is the same
// (TTFT is the first token's arrival at the gateway minus the request's), `baton:` for the rest. Used on the server's one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "actors/gateway/backend.h"
#include "runtime/base/time.h"

namespace baton::gateway {

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1, 0) {}
  void observe(double value);
  void write(std::string& out, const std::string& name, const std::string& labels, const std::string& help) const;

 private:
  std::vector<double> bounds_;                 // upper, ascending; the last bucket is +Inf
  std::vector<std::uint64_t> counts_;
  double sum_ = 0;
};

class GatewayMetrics {
 public:
  GatewayMetrics();

  void first_token(Duration since_arrival) { ttft_.observe(seconds(since_arrival)); }
  void next_token(Duration gap) { itl_.observe(seconds(gap)); }
  void choice_finished(const std::string& reason, Duration first_to_last, std::uint32_t tokens);
  void request_finished(Duration end_to_end, const RequestOutcome& outcome);
  void http_answered(const std::string& path, unsigned status) { ++http_[{path, status}]; }

  std::string text(const ClusterView& cluster, const std::string& model) const;

 private:
  static double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
  void write_nodes(std::string& out, const ClusterView& cluster, const std::string& model) const;

  Histogram ttft_, itl_, tpot_, e2e_, prompt_lengths_, output_lengths_;
  std::map<std::string, std::uint64_t> finished_;
  std::map<std::pair<std::string, unsigned>, std::uint64_t> http_;
  std::uint64_t prompt_tokens_ = 0;
  std::uint64_t generation_tokens_ = 0;
  std::uint64_t recoveries_prefill_ = 0;
  std::uint64_t recoveries_decode_ = 0;
};

// /cluster's JSON; every key is always there.
std::string cluster_json(const ClusterView& cluster);

}  // namespace baton::gateway
