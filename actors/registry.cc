#include "actors/registry.h"

#include <spdlog/fmt/fmt.h>

namespace baton {

Status ActorTypes::add(const std::string& type, ActorFactory factory) {
  if (!factories_.emplace(type, std::move(factory)).second) {
    return Error{ErrorCode::invalid_argument, Scope::instance, fmt::format("actor type \"{}\" is registered already", type)};
  }
  return ok();
}

Result<SpawnedActor> ActorTypes::spawn(const std::string& type, const SpawnContext& context) const {
  const auto factory = factories_.find(type);
  if (factory != factories_.end()) return factory->second(context);
  std::string known;
  for (const auto& [name, unused] : factories_) known += (known.empty() ? "" : ", ") + name;
  return Error{ErrorCode::not_found, Scope::instance, fmt::format("no actor type \"{}\" on this node; there are: {}", type, known)};
}

}  // namespace baton
