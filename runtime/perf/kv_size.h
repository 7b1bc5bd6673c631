// The bytes of KV that a token leaves behind, by the shape of the model: what a hand-off moves, a pool holds and a prefix hit saves.
// Sources: Mooncake FAST'25 section 2.2 for grouped heads; DistServe OSDI'24 section 3.3 for the size of a hand-off.
#pragma once

#include <cstdint>

namespace baton::perf {

struct KvShape {
  std::uint64_t layers = 0;
  std::uint64_t kv_heads = 0;              // fewer than the query heads with grouped-query attention
  std::uint64_t head_size = 0;
  std::uint64_t value_bytes = 2;           // fp16 and bf16

  bool operator==(const KvShape&) const = default;
};

constexpr std::uint64_t kv_bytes_per_token(const KvShape& shape) {         // K and V of every layer
  return shape.layers * 2 * shape.kv_heads * shape.head_size * shape.value_bytes;
}

}  // namespace baton::perf
