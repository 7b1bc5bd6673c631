// The built-in eviction policies, as a list for the registry.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/kv/eviction_registry.h"

namespace baton {

std::vector<std::pair<std::string, EvictionFactory>> built_in_eviction();

}  // namespace baton
