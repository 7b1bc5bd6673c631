#include "actors/registry.h"

#include <gtest/gtest.h>

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/caf_types.h"

namespace baton {
namespace {

caf::actor spawn_sleeper(caf::actor_system& system) {
  return system.spawn([](caf::event_based_actor* self) -> caf::behavior {
    return {[me = caf::actor_cast<caf::actor>(self)](int) {}};           // no lack of references ends it
  });
}

bool ended(caf::scoped_actor& self, Duration limit) {
  bool down = false;
  self->receive([&](const caf::down_msg&) { down = true; }, caf::after(limit) >> [] {});
  return down;
}

TEST(OwnedActor, ends_with_its_owner_unless_it_was_handed_over) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  {
    OwnedActor dropped{spawn_sleeper(system)};
    self->monitor(dropped.get());
  }
  EXPECT_TRUE(ended(self, Milliseconds{20000}));
  caf::actor kept;
  {
    OwnedActor first{spawn_sleeper(system)};
    OwnedActor second{std::move(first)};
    self->monitor(second.get());
    kept = second.hand_over();
  }
  caf::anon_send(kept, 1);
  EXPECT_FALSE(ended(self, Milliseconds{100}));
  caf::anon_send_exit(kept, caf::exit_reason::user_shutdown);
  EXPECT_TRUE(ended(self, Milliseconds{20000}));
}

}  // namespace
}  // namespace baton
