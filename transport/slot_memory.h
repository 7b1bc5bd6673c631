// Moving a slot between its strided memory and its packed form. A range is given in packed bytes: a slot that does not fit a piece
// travels as fragments, each a range of it.
#pragma once

#include <cstddef>

#include "transport/fabric.h"

namespace baton::transport {

// Packed bytes [offset, offset + bytes) of the slot; the range must lie inside it.
void gather(const SlotMemory& slot, std::size_t offset, std::size_t bytes, std::byte* to);
void scatter(const SlotMemory& slot, std::size_t offset, std::size_t bytes, const std::byte* from);

// Calls visit(std::byte* run, std::size_t bytes) for each contiguous part of the range, in packed order. Runs that lie end to end
// are visited as one.
template <class Visit>
void for_each_run(const SlotMemory& slot, std::size_t offset, std::size_t bytes, Visit visit) {
  if (bytes == 0) return;
  if (slot.runs == 1 || slot.stride_bytes == slot.run_bytes) {
    visit(slot.base + offset, bytes);
    return;
  }
  std::size_t run = offset / slot.run_bytes;
  std::size_t skip = offset % slot.run_bytes;
  while (bytes > 0) {
    const std::size_t part = bytes < slot.run_bytes - skip ? bytes : slot.run_bytes - skip;
    visit(slot.base + run * slot.stride_bytes + skip, part);
    bytes -= part;
    skip = 0;
    ++run;
  }
}

}  // namespace baton::transport
