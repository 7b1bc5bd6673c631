// A piece of host memory for weights, KV or scratch: 2 MiB-aligned, zeroed, asked to lie on huge pages, so that a decode step that
// streams all weights does not spend its time on TLB misses. An arena hands out aligned parts and frees them all at once.
#pragma once

#include <cstddef>
#include <optional>

namespace baton::kernels {

class Arena {
 public:
  Arena() = default;
  // Nothing when the system has no such memory. Pages become resident when first written.
  static std::optional<Arena> allocate(std::size_t bytes);
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t used() const { return used_; }

  // The next `bytes`, aligned to `alignment` (a power of two up to 2 MiB). The sum of what is taken must fit: a programmer's error else.
  std::byte* take(std::size_t bytes, std::size_t alignment = 64);

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t used_ = 0;
};

}  // namespace baton::kernels
