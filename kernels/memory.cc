#include "kernels/memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <utility>

#include "kernels/require.h"

namespace baton::kernels {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

std::optional<Arena> Arena::allocate(std::size_t bytes) {
  Arena arena;
  if (bytes == 0) return arena;
  if (bytes > SIZE_MAX - 2 * kHugePage) return std::nullopt;
  const std::size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  // One huge page more than needed, so that an aligned piece of the size lies inside; the ends are given back.
  void* const raw = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return std::nullopt;
  auto* const begin = static_cast<std::byte*>(raw);
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before != 0) munmap(begin, before);
  if (before != kHugePage) munmap(begin + before + size, kHugePage - before);
  arena.data_ = begin + before;
  arena.size_ = size;
  madvise(arena.data_, size, MADV_HUGEPAGE);   // a wish: without huge pages all works, slower
  return arena;
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), used_(std::exchange(other.used_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(used_, other.used_);
  return *this;
}

Arena::~Arena() {
  if (data_ != nullptr) munmap(data_, size_);
}

std::byte* Arena::take(std::size_t bytes, std::size_t alignment) {
  const std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
  BATON_REQUIRE(start <= size_ && bytes <= size_ - start, "the arena was sized for all that is taken from it");
  used_ = start + bytes;
  return data_ + start;
}

}  // namespace baton::kernels
