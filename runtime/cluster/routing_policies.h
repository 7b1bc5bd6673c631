// The built-in routing policies, as a list for the registry.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/cluster/routing_registry.h"

namespace baton {

std::vector<std::pair<std::string, RoutingFactory>> built_in_routing();

}  // namespace baton
