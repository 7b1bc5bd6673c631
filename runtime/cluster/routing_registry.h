// Routing policies by name. The built-in ones come in by the same door as anybody's:
//
//   round_robin      each in turn, prefill and decode apart
//   jsq              the fewest pending tokens (join the shortest queue; Splitwise IV-A)
//   least_memory     the most free KV blocks
//   power_of_two     the shorter queue of two drawn at random
//   prefix_aware     where most of the prompt's beginning was sent before, against the queue there (prefix_routing.h)
//
// Register before the first scheduler is made, from one thread: a program of one's own does so before it calls run_node or serve.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/cluster/routing.h"

namespace baton {

using RoutingFactory = std::function<std::unique_ptr<RoutingPolicy>()>;

// Errors: invalid_argument when the name is taken or empty.
Status register_routing(const std::string& name, RoutingFactory factory);

// Errors: invalid_config, naming the nearest known name and all of them.
Result<std::unique_ptr<RoutingPolicy>> make_routing(std::string_view name);

std::vector<std::string> routing_names();          // sorted

}  // namespace baton
