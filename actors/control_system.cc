#include "actors/control_system.h"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/publish.hpp>
#include <caf/message.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/publish.hpp>
#include <spdlog/fmt/fmt.h>

#include <cstring>
#include <typeinfo>
#include <vector>

#include "actors/filled.h"
#include "actors/messages.h"
#include "actors/openssl_hooks.h"

namespace baton {
namespace {

template <class F, class... Ts>
void for_each_type(F&& f, std::tuple<Ts...>*) {
  (f.template operator()<Ts>(typeid(Ts).name()), ...);
}
template <class F>
void for_each_message(F&& f) {
  for_each_type(std::forward<F>(f), static_cast<WireMessages*>(nullptr));
}

struct Config : caf::actor_system_config {
  explicit Config(const ControlOptions& options, const KeyFiles& keys) {
    set("scheduler.policy", caf::atom("sharing"));         // stealing polls: more than 1 % of a core when idle
    set("scheduler.max-threads", options.threads);
    set("middleman.heartbeat-interval", caf::timespan{options.heartbeat});
    set("middleman.connection-timeout", caf::timespan{options.timeout});
    set("middleman.enable-automatic-connections", false);  // every pair that talks has its own connection: node_actor.cc
    set("logger.verbosity", caf::atom("quiet"));
    load<caf::io::middleman>();
    if (!keys.empty()) {
      openssl_certificate = keys.certificate;
      openssl_key = keys.key;
      openssl_cafile = keys.authority;
      load<caf::openssl::manager>();
    }
    register_messages(*this);
  }
};

template <class T>
Status check_travels(caf::actor_system& system, const char* name) {
  using Buffer = caf::binary_serializer::container_type;
  const auto failed = [&](const std::string& why) {
    return Error{ErrorCode::internal, Scope::instance, fmt::format("message type {} would not arrive: {}", name, why)};
  };
  Buffer sent, again;
  caf::message message = caf::make_message(filled<T>());
  caf::binary_serializer sink{system, sent};
  if (auto error = sink(message)) return failed(caf::to_string(error));
  caf::message received;
  caf::binary_deserializer source{system, sent};
  if (auto error = source(received)) return failed(caf::to_string(error));
  if (!received.match_elements<T>()) return failed("it arrives empty");
  caf::binary_serializer resink{system, again};
  if (auto error = resink(received)) return failed(caf::to_string(error));
  return sent == again ? ok() : Status{failed("it arrives changed")};
}

}  // namespace

void register_messages(caf::actor_system_config& config, const char* omit) {
  for_each_message([&]<class T>(const char* name) {
    if (omit == nullptr || std::strcmp(name, omit) != 0) config.add_message_type<T>(name);
  });
}

Status check_messages_travel(caf::actor_system& system) {
  Status status = ok();
  for_each_message([&]<class T>(const char* name) {
    if (status) status = check_travels<T>(system, name);
  });
  return status;
}

struct ControlSystem::State {
  State(const ControlOptions& options, const KeyFiles& keys) : config(options, keys), system(config), secure(!keys.empty()) {}
  Config config;
  caf::actor_system system;
  bool secure;
};

ControlSystem::ControlSystem(std::unique_ptr<State> state) : state_(std::move(state)) {}
ControlSystem::~ControlSystem() = default;

Result<std::unique_ptr<ControlSystem>> ControlSystem::start(const ControlOptions& options) {
  KeyFiles kept;
  if (options.keys) {
    CHECK(openssl_calls_come_here(), "link this program with its own functions of OpenSSL (actors/openssl_hooks.h)");
    if (Status status = check_keys(*options.keys); !status) return status.error();
    auto copies = keep_in_memory(*options.keys);
    if (!copies) return copies.error();
    kept = *copies;
  }
  auto state = std::make_unique<State>(options, kept);
  if (Status status = check_messages_travel(state->system); !status) return status.error();
  return std::unique_ptr<ControlSystem>(new ControlSystem(std::move(state)));
}

caf::actor_system& ControlSystem::system() { return state_->system; }

Result<std::uint16_t> ControlSystem::publish(const caf::actor& actor, const std::string& host, std::uint16_t port) {
  const auto published = state_->secure ? caf::openssl::publish(actor, port, host.c_str(), true)
                                        : caf::io::publish(actor, port, host.c_str(), true);
  if (published) return *published;
  return Error{ErrorCode::address_in_use, Scope::instance,
               fmt::format("cannot listen on {}:{} for the control plane ({}): choose a free port and an address of this machine", host,
                           port, state_->system.render(published.error()))};
}

caf::io::middleman_actor ControlSystem::dialler() {
  return state_->secure ? state_->system.openssl_manager().actor_handle() : state_->system.middleman().actor_handle();
}

}  // namespace baton
