#include "runtime/cluster/routing_registry.h"

#include <map>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/nearest.h"
#include "runtime/cluster/routing_policies.h"

namespace baton {
namespace {

using Registry = std::map<std::string, RoutingFactory, std::less<>>;

Status add(Registry& registry, const std::string& name, RoutingFactory factory) {
  if (name.empty()) return Error{ErrorCode::invalid_argument, Scope::cluster, "a routing policy needs a name"};
  if (!registry.emplace(name, std::move(factory)).second) {
    return Error{ErrorCode::invalid_argument, Scope::cluster, fmt::format("a routing policy named {} is registered already", name)};
  }
  return ok();
}

Registry& registry() {
  static Registry all = [] {
    Registry built_in;
    for (auto& [name, factory] : built_in_routing()) CHECK(add(built_in, name, factory).ok());
    return built_in;
  }();
  return all;
}

}  // namespace

Status register_routing(const std::string& name, RoutingFactory factory) { return add(registry(), name, std::move(factory)); }

Result<std::unique_ptr<RoutingPolicy>> make_routing(std::string_view name) {
  const auto place = registry().find(name);
  if (place != registry().end()) return place->second();
  return Error{ErrorCode::invalid_config, Scope::cluster,
               fmt::format("unknown routing policy \"{}\"{}", name, suggestion(name, routing_names())), "scheduler.routing"};
}

std::vector<std::string> routing_names() {
  std::vector<std::string> names;
  for (const auto& [name, factory] : registry()) names.push_back(name);
  return names;
}

}  // namespace baton
