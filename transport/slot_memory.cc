#include "transport/slot_memory.h"

#include <cstring>

namespace baton::transport {

void gather(const SlotMemory& slot, std::size_t offset, std::size_t bytes, std::byte* to) {
  for_each_run(slot, offset, bytes, [&](const std::byte* run, std::size_t part) {
    std::memcpy(to, run, part);
    to += part;
  });
}

void scatter(const SlotMemory& slot, std::size_t offset, std::size_t bytes, const std::byte* from) {
  for_each_run(slot, offset, bytes, [&](std::byte* run, std::size_t part) {
    std::memcpy(run, from, part);
    from += part;
  });
}

}  // namespace baton::transport
