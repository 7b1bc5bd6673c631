// Eviction policies by name. The built-in ones come in by the same door as anybody's:
//
//   lru              the least recently used (what Mooncake runs: FAST'25 3.2.1)
//   lfu              the least often used, counted while a block is cached only; of equals the least recently used
//   length_aware     as lfu, but of blocks used equally often the one that lies deepest in its prompt, then the least recently used.
//                    Mooncake (arXiv v3, Table 1) names it and says no more than "as LFU, later blocks of a request first"
//
// Register before the first cache is made, from one thread (main, or a plugin's start).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/kv/eviction.h"

namespace baton {

using EvictionFactory = std::function<std::unique_ptr<EvictionPolicy>(std::uint32_t blocks)>;    // ids below `blocks`

// Errors: invalid_argument when the name is taken or empty.
Status register_eviction(const std::string& name, EvictionFactory factory);

// Errors: invalid_argument, naming the nearest known name or all of them.
Result<std::unique_ptr<EvictionPolicy>> make_eviction(std::string_view name, std::uint32_t blocks);

std::vector<std::string> eviction_names();         // sorted

}  // namespace baton
