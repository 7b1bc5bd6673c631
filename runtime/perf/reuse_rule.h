// When a cached prefix is worth its transfer: fetching it must be quicker than computing it again.
//
//   prefill of n tokens       layers (a n^2 d + b n d^2) operations           d hidden size
//   KV of p tokens            layers p (2 d / g) s bytes                      g query heads per KV head, s bytes a value
//   worth it                  B / G > 2 d s / (g (a p d + b d^2))             B bytes/s of the slowest link, G operations/s
//
// Both sides have the layers as a factor, so the rule does not depend on the depth of the model. Source: Mooncake FAST'25 section 2.2.
#pragma once

#include <algorithm>

namespace baton::perf {

struct ReuseShape {
  double layers = 0;
  double hidden = 0;                       // d
  double query_heads_per_kv_head = 1;      // g
  double value_bytes = 2;                  // s
  double attention = 4;                    // a: operations of attention per pair of tokens and unit of hidden size
  double linear = 22;                      // b: of the projections and the MLP per token and unit of hidden size squared
};

constexpr double prefill_operations(const ReuseShape& shape, double tokens) {
  return shape.layers * (shape.attention * tokens * tokens * shape.hidden + shape.linear * tokens * shape.hidden * shape.hidden);
}

constexpr double reused_bytes(const ReuseShape& shape, double prefix_tokens) {
  return prefix_tokens * shape.layers * (2 * shape.hidden / shape.query_heads_per_kv_head) * shape.value_bytes;
}

// The bandwidth, bytes/s, above which fetching `prefix_tokens` (> 0) beats computing them at `operations_per_s`.
constexpr double least_bandwidth(const ReuseShape& shape, double prefix_tokens, double operations_per_s) {
  return operations_per_s * reused_bytes(shape, prefix_tokens) / prefill_operations(shape, prefix_tokens);
}

// The links that a fetched block crosses one after another: network, then host memory to the device. Bytes/s each.
struct FetchPath {
  double network = 0;
  double host_to_device = 0;
  constexpr double slowest() const { return std::min(network, host_to_device); }
};

constexpr bool worth_fetching(const ReuseShape& shape, double prefix_tokens, double operations_per_s, const FetchPath& path) {
  return prefix_tokens > 0 && path.slowest() > least_bandwidth(shape, prefix_tokens, operations_per_s);
}

}  // namespace baton::perf
