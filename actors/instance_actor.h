// The actor of an instance: translates messages of peers and events of its device and fabric into events of InstanceCore, and
// carries out the core's commands. Private to actors/*.cc.
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <memory>

#include "actors/instance/instance_host.h"
#include "runtime/instance/instance_core.h"

namespace baton {

caf::actor spawn_instance(caf::actor_system& system, InstanceCore core, std::shared_ptr<InstanceHost> host, InstanceRef self);

}  // namespace baton
