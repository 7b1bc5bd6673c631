// What a device makes of a sequence, bit for bit: the logits of every position and K and V of every layer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/device/cpu_device.h"
#include "runtime/device/device.h"
#include "tests/runtime/device/tiny_model_helpers.h"

namespace baton {

struct Trace {
  std::vector<float> logits;  // [positions that were asked for][vocabulary]
  std::vector<std::byte> kv;  // [layer][position][K|V][kv_head][head_dim], whatever the block size
  bool operator==(const Trace& other) const;
};

constexpr std::uint32_t kTestBlocks = 64;

// The device on `model`, its arena filled with the bits of NaN: whatever reads more than was written shows it.
std::unique_ptr<Device> make_device(const LoadedModel& model, const CpuDeviceOptions& options = {},
                                    std::uint32_t blocks = kTestBlocks);

// `count` blocks in a scattered order, of those from `first` on.
std::vector<BlockId> scattered_blocks(std::uint32_t count, std::uint32_t first, std::uint64_t seed);
std::vector<BlockId> blocks_for(const Device& device, std::size_t tokens, std::uint32_t first = 0,
                                std::uint64_t seed = 1);

// K and V of positions [0, tokens), out of the device.
std::vector<std::byte> kv_bits(Device& device, std::span<const BlockId> blocks, std::uint32_t tokens);

// Runs `tokens` in chunks of these sizes (the last one repeats), all logits asked for.
Trace trace(Device& device, std::span<const TokenId> tokens, std::span<const std::uint32_t> chunks,
            std::span<const BlockId> blocks);
Trace trace(Device& device, std::span<const TokenId> tokens, std::span<const std::uint32_t> chunks);

// Of the instruction sets, those this CPU has; the others are named once in the test's output.
std::vector<std::string> present_isas();

}  // namespace baton
