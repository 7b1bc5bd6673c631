#include "runtime/kv/eviction_registry.h"

#include <map>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/nearest.h"
#include "runtime/kv/eviction_policies.h"

namespace baton {
namespace {

using Registry = std::map<std::string, EvictionFactory, std::less<>>;

Status add(Registry& registry, const std::string& name, EvictionFactory factory) {
  if (name.empty()) return Error{ErrorCode::invalid_argument, Scope::cluster, "an eviction policy needs a name"};
  if (!registry.emplace(name, std::move(factory)).second) {
    return Error{ErrorCode::invalid_argument, Scope::cluster, fmt::format("an eviction policy named {} is registered already", name)};
  }
  return ok();
}

Registry& registry() {
  static Registry all = [] {
    Registry built_in;
    for (auto& [name, factory] : built_in_eviction()) CHECK(add(built_in, name, factory).ok());
    return built_in;
  }();
  return all;
}

}  // namespace

Status register_eviction(const std::string& name, EvictionFactory factory) { return add(registry(), name, std::move(factory)); }

Result<std::unique_ptr<EvictionPolicy>> make_eviction(std::string_view name, std::uint32_t blocks) {
  const auto place = registry().find(name);
  if (place != registry().end()) return place->second(blocks);
  return Error{ErrorCode::invalid_argument, Scope::cluster,
               fmt::format("unknown eviction policy \"{}\"{}", name, suggestion(name, eviction_names())), "policy"};
}

std::vector<std::string> eviction_names() {
  std::vector<std::string> names;
  for (const auto& [name, factory] : registry()) names.push_back(name);
  return names;
}

}  // namespace baton
