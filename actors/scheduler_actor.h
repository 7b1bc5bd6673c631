// The actor of the cluster's scheduler: SchedulerCore over messages. Private to actors/*.cc.
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "runtime/cluster/scheduler_core.h"

namespace baton {

caf::actor spawn_scheduler(caf::actor_system& system, SchedulerCore core, InstanceRef self);

}  // namespace baton
