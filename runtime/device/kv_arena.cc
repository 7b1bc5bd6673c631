#include "runtime/device/kv_arena.h"

#include <spdlog/fmt/fmt.h>

#include <cstring>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/device/host_memory.h"

namespace baton {
Status KvArena::allocate(std::uint32_t blocks) {
  CHECK(blocks_ == 0, "the KV arena is allocated once");
  if (blocks == 0)
    return Error{ErrorCode::invalid_argument, Scope::instance, "a KV cache of 0 blocks holds no token: give it some"};
  const std::size_t bytes = blocks * layout_.block_bytes(), all = bytes * layout_.layers;
  const Error no_memory{ErrorCode::out_of_memory, Scope::instance,
                        fmt::format("no memory for {} KV blocks of {} tokens ({} MiB): ask for fewer blocks", blocks,
                                    layout_.block_tokens, all >> 20)};
  if (exceeds_memory(all)) return no_memory;
  for (std::uint32_t i = 0; i < layout_.layers; ++i) {
    auto arena = kernels::Arena::allocate(bytes);
    if (!arena) {
      layers_.clear();
      return no_memory;
    }
    std::memset(arena->data(), 0, arena->size());  // resident now: no request pays for a page fault
    layers_.push_back(std::move(*arena));
  }
  blocks_ = blocks;
  return ok();
}

HostRuns KvArena::view(std::uint32_t layer, BlockId block, std::uint32_t tokens) const {
  CHECK(layer < layers_.size() && block.value < blocks_ && tokens <= layout_.block_tokens,
        "layer {} block {} tokens {}", layer, block.value, tokens);
  std::byte* const base = layers_[layer].data() + block.value * layout_.block_bytes();
  if (tokens == layout_.block_tokens) {
    const auto bytes = static_cast<std::uint32_t>(layout_.block_bytes());
    return {.base = base, .run_bytes = bytes, .stride_bytes = bytes, .runs = 1};
  }
  const std::size_t token = layout_.head_dim * bytes_of(layout_.type);
  return {.base = base,
          .run_bytes = static_cast<std::uint32_t>(tokens * token),
          .stride_bytes = static_cast<std::uint32_t>(layout_.block_tokens * token),
          .runs = 2 * layout_.kv_heads};
}

void KvArena::copy_out(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<std::byte> to) const {
  const HostRuns from = view(layer, block, tokens);
  CHECK(to.size() == from.bytes(), "{} tokens take {} bytes, not {}", tokens, from.bytes(), to.size());
  for (std::uint32_t i = 0; i < from.runs; ++i) {
    std::memcpy(to.data() + std::size_t{i} * from.run_bytes, from.base + std::size_t{i} * from.stride_bytes,
                from.run_bytes);
  }
}

void KvArena::copy_in(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<const std::byte> from) {
  const HostRuns to = view(layer, block, tokens);
  CHECK(from.size() == to.bytes(), "{} tokens take {} bytes, not {}", tokens, to.bytes(), from.size());
  for (std::uint32_t i = 0; i < to.runs; ++i) {
    std::memcpy(to.base + std::size_t{i} * to.stride_bytes, from.data() + std::size_t{i} * to.run_bytes, to.run_bytes);
  }
}

void KvArena::copy_block(BlockId from, BlockId to) {
  CHECK(from.value < blocks_ && to.value < blocks_, "block {} to {}", from.value, to.value);
  if (from == to) return;
  for (const kernels::Arena& arena : layers_) {
    std::memcpy(arena.data() + to.value * layout_.block_bytes(), arena.data() + from.value * layout_.block_bytes(),
                layout_.block_bytes());
  }
}

}  // namespace baton
