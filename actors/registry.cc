#include "actors/registry.h"

#include <spdlog/fmt/fmt.h>

namespace baton {

Status ActorTypes::add(const std::string& type, ActorFactory factory) {
  if (!factories_.emplace(type, std::move(factory)).second) {
    return Error{ErrorCode::invalid_argument, Scope::instance, fmt::format("actor type \"{}\" is registered already", type)};
  }
  return ok();
}

Status ActorTypes::add_role(Role role, ActorFactory factory) {
  if (Status status = add(to_string(role), std::move(factory)); !status) return status;
  roles_.insert(to_string(role));
  return ok();
}

Result<SpawnedActor> ActorTypes::spawn_child(const std::string& type, const SpawnContext& context) const {
  if (!roles_.contains(type)) return spawn(type, context);
  return Error{ErrorCode::invalid_argument, Scope::instance,
               fmt::format("\"{}\" is a node's own role: write a node of that role into the cluster file and start it", type)};
}

Result<SpawnedActor> ActorTypes::spawn(const std::string& type, const SpawnContext& context) const {
  const auto factory = factories_.find(type);
  if (factory != factories_.end()) return factory->second(context);
  std::string known;
  for (const auto& [name, unused] : factories_) known += (known.empty() ? "" : ", ") + name;
  return Error{ErrorCode::not_found, Scope::instance, fmt::format("no actor type \"{}\" on this node; there are: {}", type, known)};
}

}  // namespace baton
