// Memory for slots, with guard bytes around and between them: whoever writes outside a slot is found out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "transport/fabric.h"
#include "transport/slot_memory.h"

namespace baton::transport {

struct SlotShape {
  std::uint32_t slots = 1;
  std::uint32_t run_bytes = 1024;
  std::uint32_t stride_bytes = 1024;
  std::uint32_t runs = 1;
};

class SlotArena {
 public:
  static constexpr std::byte kGuard{0xEE};

  explicit SlotArena(SlotShape shape) : shape_(shape), bytes_(spacing() * shape.slots + kGap, kGuard) {}

  // Slots lie in reverse order, so that neighbours in number are not neighbours in memory.
  SlotMemory slot(std::uint32_t i) {
    return {bytes_.data() + kGap + spacing() * (shape_.slots - 1 - i), shape_.run_bytes, shape_.stride_bytes, shape_.runs,
            0x5eed0000 + i};
  }
  std::vector<SlotMemory> all() {
    std::vector<SlotMemory> slots;
    for (std::uint32_t i = 0; i < shape_.slots; ++i) slots.push_back(slot(i));
    return slots;
  }
  std::vector<SlotToSend> to_send(std::uint32_t first, std::uint32_t count) {
    std::vector<SlotToSend> slots;
    for (std::uint32_t i = first; i < first + count; ++i) slots.push_back({i, slot(i)});
    return slots;
  }
  std::vector<SlotToSend> to_send() { return to_send(0, shape_.slots); }
  std::size_t payload() const { return std::size_t{shape_.slots} * shape_.run_bytes * shape_.runs; }

  void fill(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (std::uint32_t i = 0; i < shape_.slots; ++i) {
      const SlotMemory memory = slot(i);
      std::vector<std::byte> content(memory.bytes());
      for (std::byte& b : content) b = static_cast<std::byte>(random());
      scatter(memory, 0, content.size(), content.data());
    }
  }
  std::vector<std::byte> content(std::uint32_t i) {
    const SlotMemory memory = slot(i);
    std::vector<std::byte> packed(memory.bytes());
    gather(memory, 0, packed.size(), packed.data());
    return packed;
  }
  bool untouched(std::uint32_t i) {
    for (const std::byte b : content(i)) {
      if (b != kGuard) return false;
    }
    return true;
  }
  // Every byte that belongs to no slot still has the guard's value.
  bool guards_intact() {
    std::vector<std::byte> rest = bytes_;
    for (std::uint32_t i = 0; i < shape_.slots; ++i) {
      SlotMemory memory = slot(i);
      memory.base = rest.data() + (memory.base - bytes_.data());
      const std::vector<std::byte> guards(memory.bytes(), kGuard);
      scatter(memory, 0, guards.size(), guards.data());
    }
    for (const std::byte b : rest) {
      if (b != kGuard) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kGap = 64;
  std::size_t spacing() const { return std::size_t{shape_.stride_bytes} * shape_.runs + kGap; }

  SlotShape shape_;
  std::vector<std::byte> bytes_;
};

}  // namespace baton::transport
