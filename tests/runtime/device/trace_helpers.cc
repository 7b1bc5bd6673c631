#include "tests/runtime/device/trace_helpers.h"

#include <algorithm>
#include <cstdio>
#include <random>
#include <span>

#include "kernels/isa.h"
#include "runtime/base/check.h"

namespace baton {

bool Trace::operator==(const Trace& other) const {
  return std::ranges::equal(std::as_bytes(std::span{logits}), std::as_bytes(std::span{other.logits})) && kv == other.kv;
}

std::unique_ptr<Device> make_device(const LoadedModel& model, const CpuDeviceOptions& options, std::uint32_t blocks) {
  auto device = make_cpu_device(model, options);
  CHECK(device.ok(), "{}", device.error().message);
  CHECK((*device)->allocate_kv(blocks).ok());
  const KvLayout& layout = (*device)->layout();
  const std::vector<std::byte> nan(layout.block_bytes(), std::byte{0xff});
  for (std::uint32_t layer = 0; layer < layout.layers; ++layer) {
    for (std::uint32_t block = 0; block < blocks; ++block)
      (*device)->copy_in(layer, BlockId{block}, layout.block_tokens, nan);
  }
  return std::move(*device);
}

std::vector<BlockId> scattered_blocks(std::uint32_t count, std::uint32_t first, std::uint64_t seed) {
  std::vector<BlockId> blocks(count);
  for (std::uint32_t i = 0; i < count; ++i) blocks[i] = BlockId{first + i};
  std::mt19937_64 random{seed};
  for (std::size_t i = count; i > 1; --i) std::swap(blocks[i - 1], blocks[random() % i]);
  return blocks;
}

std::vector<BlockId> blocks_for(const Device& device, std::size_t tokens, std::uint32_t first, std::uint64_t seed) {
  return scattered_blocks(device.layout().blocks_for(static_cast<std::uint32_t>(tokens)), first, seed);
}

std::vector<std::byte> kv_bits(Device& device, std::span<const BlockId> blocks, std::uint32_t tokens) {
  const KvLayout& layout = device.layout();
  const std::size_t head_bytes = layout.head_dim * bytes_of(layout.type);
  std::vector<std::byte> bits, block_bytes(layout.block_bytes());
  for (std::uint32_t layer = 0; layer < layout.layers; ++layer) {
    for (std::uint32_t first = 0; first < tokens; first += layout.block_tokens) {
      device.copy_out(layer, blocks[first / layout.block_tokens], layout.block_tokens, block_bytes);
      for (std::uint32_t token = 0; token < std::min(layout.block_tokens, tokens - first); ++token) {
        for (std::size_t head = 0; head < 2 * layout.kv_heads; ++head) {
          const auto* at = block_bytes.data() + (head * layout.block_tokens + token) * head_bytes;
          bits.insert(bits.end(), at, at + head_bytes);
        }
      }
    }
  }
  return bits;
}

Trace trace(Device& device, std::span<const TokenId> tokens, std::span<const std::uint32_t> chunks,
            std::span<const BlockId> blocks) {
  Trace out;
  std::size_t start = 0;
  for (std::size_t i = 0; start < tokens.size(); ++i) {
    const std::size_t size = std::min<std::size_t>(tokens.size() - start, chunks[std::min(i, chunks.size() - 1)]);
    const SequenceChunk chunk{
        .tokens = tokens.subspan(start, size), .start = static_cast<std::uint32_t>(start), .blocks = blocks};
    auto logits = device.run({&chunk, 1}, nullptr);
    CHECK(logits.ok(), "{}", logits.error().message);
    out.logits.insert(out.logits.end(), logits->values.begin(), logits->values.end());
    start += size;
  }
  out.kv = kv_bits(device, blocks, static_cast<std::uint32_t>(tokens.size()));
  return out;
}

Trace trace(Device& device, std::span<const TokenId> tokens, std::span<const std::uint32_t> chunks) {
  return trace(device, tokens, chunks, blocks_for(device, tokens.size()));
}

std::vector<std::string> present_isas() {
  static const std::vector<std::string> present = [] {
    std::vector<std::string> names;
    for (const kernels::Isa isa : kernels::kAllIsas) {
      if (kernels::isa_present(isa)) {
        names.emplace_back(kernels::to_string(isa));
      } else {
        std::printf("this CPU has no %s: not covered\n", kernels::to_string(isa));
      }
    }
    return names;
  }();
  return present;
}

}  // namespace baton
