// The roles as actor types: gateway, scheduler, prefill, decode, mixed. Private to actors/*.cc.
#pragma once

#include "actors/registry.h"

namespace baton {

// Registers the roles. Errors: a name that is taken.
Status add_built_in_types(ActorTypes& types);

}  // namespace baton
