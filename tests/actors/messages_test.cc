#include <gmock/gmock.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "actors/control_system.h"
#include "actors/filled.h"
#include "actors/messages.h"
#include "tests/actors/status_words.h"

namespace baton {
namespace {

using testing::HasSubstr;

struct Config : caf::actor_system_config {
  explicit Config(const char* omit) {
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", 1);
    register_messages(*this, omit);
  }
};

Status check_without(const char* omit) {
  Config config{omit};
  caf::actor_system system{config};
  return check_messages_travel(system);
}

template <class F, class... Ts>
void for_each_type(F&& f, std::tuple<Ts...>*) {
  (f.template operator()<Ts>(), ...);
}

TEST(MessageSelfTest, passes_with_every_type_registered) { EXPECT_EQ(words(check_without(nullptr)), ""); }

TEST(MessageSelfTest, names_whichever_type_is_missing) {
  for_each_type([]<class T>() {
    const char* name = typeid(T).name();
    const Status status = check_without(name);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_THAT(status.error().message, HasSubstr(name));
  }, static_cast<WireMessages*>(nullptr));
}

TEST(FilledMessages, have_no_field_at_its_default) {
  const auto request = filled<PrefillRequest>();
  EXPECT_NE(request.key.request.value, 0u);
  EXPECT_EQ(request.tokens.size(), 2u);
  EXPECT_NE(request.tokens[0], request.tokens[1]);
  EXPECT_NE(request.sampling.seed, 0u);
  EXPECT_EQ(request.sampling.logit_bias.size(), 2u);
  EXPECT_NE(request.time_left.count(), 0);
  EXPECT_NE(request.mode, HandOffMode::local);
  EXPECT_EQ(filled<LoadReport>().unreachable.size(), 2u);
  EXPECT_NE(filled<AttemptFailed>().culprit, InstanceRef{});
  EXPECT_NE(filled<Withdraw>().transfer.value, 0u);
}

}  // namespace
}  // namespace baton
