// The KV cache of a device in host memory: an arena a layer (KvLayout), on huge pages, resident from the start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/kv_layout.h"
#include "kernels/memory.h"
#include "runtime/base/ids.h"
#include "runtime/base/result.h"
#include "runtime/device/device.h"

namespace baton {

class KvArena {
 public:
  explicit KvArena(const KvLayout& layout) : layout_(layout) {}
  Status allocate(std::uint32_t blocks);  // once; errors: out_of_memory, invalid_argument (no blocks)

  std::uint32_t blocks() const { return blocks_; }
  std::byte* layer(std::uint32_t index) const { return layers_[index].data(); }

  HostRuns view(std::uint32_t layer, BlockId block, std::uint32_t tokens) const;
  void copy_out(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<std::byte> to) const;
  void copy_in(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<const std::byte> from);
  void copy_block(BlockId from, BlockId to);

 private:
  KvLayout layout_;
  std::uint32_t blocks_ = 0;
  std::vector<kernels::Arena> layers_;
};

}  // namespace baton
