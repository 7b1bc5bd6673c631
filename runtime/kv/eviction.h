// An eviction policy: which of the cached blocks that nobody holds goes first. Knows blocks by id only, not their contents, so
// that the prefix cache of an instance, a tier and a replay of a trace use the same one. One object serves one cache.
//
//            admit                 hold
//     ───────────────► evictable ◄───────► held          use: at any time in either state
//                          │       release
//                          └── forget ──►                (evicted, or its content is gone)
//
// Costs at most O(log blocks) an operation; memory is a few words a block, all of it allocated at construction.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/base/ids.h"

namespace baton {

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  // `block` got a content that lies `depth` blocks from the start of its prompt: its first use.
  virtual void admit(BlockId block, std::uint32_t depth) = 0;
  virtual void use(BlockId block) = 0;                     // its content was found once more
  virtual void hold(BlockId block) = 0;                    // not to be evicted
  virtual void release(BlockId block) = 0;                 // no longer held
  virtual void forget(BlockId block) = 0;                  // evictable before; unknown after, its uses too

  virtual std::optional<BlockId> victim() const = 0;       // the one to evict next; nothing if none is evictable
};

}  // namespace baton
