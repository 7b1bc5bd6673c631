#include "actors/node_actor.h"

#include <caf/io/middleman_actor.hpp>
#include <spdlog/spdlog.h>

#include <deque>
#include <set>
#include <unordered_map>

#include "actors/network/address.h"
#include "actors/caf_types.h"

namespace baton {
namespace {

struct ProbeDone {
  Connect connect;
  Status status = ok();
};

}  // namespace
}  // namespace baton
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(baton::ProbeDone)
namespace baton {
namespace {

constexpr std::size_t kRestartsMost = 5;               // of a child, within kRestartWindow; then it stays down
constexpr Duration kRestartWindow = Milliseconds{10000};
constexpr Duration kProbeDeadline = Milliseconds{500};
constexpr Duration kDialDeadline = Milliseconds{2000};

class NodeShell {
 public:
  NodeShell(caf::event_based_actor* self, NodeActorParts parts) : self_(self), parts_(std::move(parts)) {
    self_->monitor(parts_.role);
    apply(parts_.membership.on(StartMembership{}, steady_now()));
  }

  template <class Event>
  void feed(const Event& event) {
    apply(parts_.membership.on(event, steady_now()));
  }

  void hello(const Hello& hello, const caf::actor& role) {
    arriving_ = {0, caf::actor_cast<caf::actor>(self_->current_sender()), role};
    if (!arriving_.node || !role) return;
    feed(HelloArrived{hello});
    arriving_ = {};
  }
  void answer(const HelloAnswer& answer, const caf::actor& role) {
    Link* link = link_of_sender();
    if (link == nullptr || !role) return;
    link->role = role;
    feed(HelloAnswered{name_of_sender(), link->id, answer.hello});
  }
  void refused(const HelloRefused& refusal) {
    if (const Link* link = link_of_sender()) feed(HelloRejected{name_of_sender(), link->id, refusal.reason});
  }

  void alarm() {
    const LazyTimer::Rung rung = timer_.ring(steady_now());
    if (rung.alarm) send_alarm(self_, *rung.alarm);
    if (rung.due) feed(MembershipTick{});
  }

  void probed(const ProbeDone& probe) {
    const Connect& connect = probe.connect;
    if (!probe.status) return feed(ConnectFailed{connect.name, connect.link, probe.status.error().message});
    const auto address = split_address(connect.address);
    self_->request(parts_.dialler, kDialDeadline, caf::connect_atom::value, address->host, address->port)
        .then(
            [this, connect](const caf::node_id&, const caf::strong_actor_ptr& node, const std::set<std::string>&) {
              if (!node) return feed(ConnectFailed{connect.name, connect.link, "nothing is published there"});
              remember(connect.name, {connect.link, caf::actor_cast<caf::actor>(node), nullptr});
              feed(Connected{connect.name, connect.link});
            },
            [this, connect](const caf::error& error) {
              feed(ConnectFailed{connect.name, connect.link, self_->system().render(error)});
            });
  }

  void down(const caf::down_msg& down) {
    if (down.source == parts_.role.address()) {
      parts_.on_role_down(self_->system().render(down.reason));
      return;
    }
    if (const auto child = children_.find(down.source); child != children_.end()) return child_down(child, down.reason);
    const auto named = names_.find(down.source);
    if (named == names_.end()) return;
    const std::string name = named->second;
    names_.erase(named);                               // the handle stays until CloseLink: a goodbye may still get through
    feed(LinkDown{name, links_[name].id, self_->system().render(down.reason)});
  }

  caf::result<caf::message> spawn(const SpawnActor& request) {
    auto child = spawn_child(request, {});
    if (!child) return caf::make_message(SpawnRefused{child.error()});
    return caf::make_message(*child);
  }

 private:
  struct Link {
    LinkId id = 0;
    caf::actor node;
    caf::actor role;
  };
  struct Child {
    SpawnActor request;
    OwnedActor actor;
    std::deque<Instant> restarts;
  };
  using Children = std::unordered_map<caf::actor_addr, Child>;

  // ---- links ----

  void remember(const std::string& name, Link link) {
    if (const auto old = links_.find(name); old != links_.end()) {
      self_->demonitor(old->second.node);
      names_.erase(old->second.node.address());
    }
    self_->monitor(link.node);
    names_[link.node.address()] = name;
    links_[name] = std::move(link);
  }
  Link* link_of_sender() {
    const auto named = names_.find(caf::actor_cast<caf::actor_addr>(self_->current_sender()));
    return named == names_.end() ? nullptr : &links_[named->second];
  }
  std::string name_of_sender() { return names_[caf::actor_cast<caf::actor_addr>(self_->current_sender())]; }

  // ---- commands ----

  void apply(MembershipCommands commands) {
    for (const MembershipCommand& command : commands) std::visit([this](const auto& c) { carry_out(c); }, command);
  }
  void carry_out(const Connect& command) {
    const auto address = split_address(command.address);
    CHECK(address, "{} in a checked cluster file", command.address);
    const auto me = caf::actor_cast<caf::actor>(caf::actor_cast<caf::strong_actor_ptr>(self_));
    parts_.probe->probe(address->host, address->port, kProbeDeadline,
                        [me, command](Status status) { caf::anon_send(me, ProbeDone{command, std::move(status)}); });
  }
  void carry_out(const SayHello& command) {
    to_peer(self_, links_[command.name].node, parts_.membership.self(), parts_.role);
  }
  void carry_out(const AnswerHello& command) {
    remember(command.name, {command.link, arriving_.node, arriving_.role});
    to_peer(self_, arriving_.node, HelloAnswer{parts_.membership.self()}, parts_.role);
  }
  void carry_out(const RefuseHello& command) {
    const Hello& self = parts_.membership.self();
    to_peer(self_, arriving_.node, HelloRefused{self.self, self.name, command.reason});
  }
  void carry_out(const AdmitPeer& command) {
    spdlog::info("{} ({}) is here", command.hello.name, to_string(command.hello.role));
    tell_role(PeerJoined{std::make_shared<Hello>(command.hello), links_[command.hello.name].role});
  }
  void carry_out(const LosePeer& command) {
    spdlog::warn("lost {} ({}): {}", command.hello.name, to_string(command.hello.role), command.reason);
    tell_role(PeerLeft{std::make_shared<Hello>(command.hello)});
  }
  void carry_out(const ReportRefused& command) {
    spdlog::error("{} and this node do not work together: {}", command.name, command.reason);
    tell_role(PeerRefused{command.name, command.reason});
  }
  void carry_out(const SayGoodbye& command) {
    const auto link = links_.find(command.name);
    if (link != links_.end()) to_peer(self_, link->second.node, Goodbye{parts_.membership.self().self});
  }
  void carry_out(const CloseLink& command) {
    const auto link = links_.find(command.name);
    if (link == links_.end() || link->second.id != command.link) return;
    self_->demonitor(link->second.node);
    names_.erase(link->second.node.address());
    links_.erase(link);
  }
  void carry_out(const SetMembershipTimer& command) {
    if (const auto alarm_at = timer_.want(command.at, steady_now())) send_alarm(self_, *alarm_at);
  }
  template <class News>
  void tell_role(const News& news) {
    self_->send(parts_.role, news);
    for (const auto& [address, child] : children_) self_->send(child.actor.get(), news);
  }

  // ---- children ----

  Result<caf::actor> spawn_child(const SpawnActor& request, std::deque<Instant> restarts) {
    SpawnContext context = parts_.context;
    context.arguments = request.arguments;
    auto spawned = parts_.types->spawn_child(request.type, context);
    if (!spawned) return spawned.error();
    const caf::actor child = spawned->actor.get();
    self_->monitor(child);
    children_.emplace(child.address(), Child{request, std::move(spawned->actor), std::move(restarts)});
    for (const auto& [name, link] : links_) {
      for (const PeerView& peer : parts_.membership.peers()) {
        if (peer.name != name || peer.state != PeerState::ready) continue;
        self_->send(child, PeerJoined{std::make_shared<Hello>(peer.hello), link.role});
      }
    }
    return child;
  }
  void child_down(Children::iterator where, const caf::error& reason) {
    Child child = std::move(where->second);
    children_.erase(where);
    if (!reason || reason == caf::exit_reason::normal || reason == caf::exit_reason::user_shutdown) return;
    const Instant now = steady_now();
    while (!child.restarts.empty() && now - child.restarts.front() > kRestartWindow) child.restarts.pop_front();
    if (child.restarts.size() >= kRestartsMost) {
      spdlog::error("{} failed {} times in {} s and stays down", child.request.type, kRestartsMost + 1,
                    kRestartWindow.count() / 1'000'000'000);
      return;
    }
    child.restarts.push_back(now);
    spdlog::warn("{} failed ({}): restarted", child.request.type, self_->system().render(reason));
    if (auto again = spawn_child(child.request, child.restarts); !again) spdlog::error("{}", again.error().message);
  }

  caf::event_based_actor* self_;
  NodeActorParts parts_;
  LazyTimer timer_;
  Link arriving_;                                        // while a Hello is being judged
  std::unordered_map<std::string, Link> links_;          // by the peer's name
  std::unordered_map<caf::actor_addr, std::string> names_;   // of the peers' node actors
  Children children_;
};

}  // namespace

caf::actor spawn_node_actor(caf::actor_system& system, NodeActorParts parts) {
  auto given = std::make_shared<NodeActorParts>(std::move(parts));
  return system.spawn([given](caf::event_based_actor* self) -> caf::behavior {
    drop_unexpected(self);
    auto s = std::make_shared<NodeShell>(self, std::move(*given));
    self->set_down_handler([s](caf::down_msg& down) { s->down(down); });
    return {
        [s](const Hello& hello, const caf::actor& role) { s->hello(hello, role); },
        [s](const HelloAnswer& answer, const caf::actor& role) { s->answer(answer, role); },
        [s](const HelloRefused& refusal) { s->refused(refusal); },
        [s](const Goodbye& goodbye) { s->feed(goodbye); },
        [s](const ProbeDone& probe) { s->probed(probe); },
        [s](const SpawnActor& request) { return s->spawn(request); },
        [s](AlarmRang) { s->alarm(); },
    };
  });
}

}  // namespace baton
