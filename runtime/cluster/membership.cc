#include "runtime/cluster/membership.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace baton {
namespace {

// idle: it dials us, or nothing was started; waiting: for the next attempt; the rest is the link's way up.
enum class LinkPhase : std::uint8_t { idle, waiting, connecting, greeting, up };

struct Peer {
  PeerView view;
  bool dialled = false;                // by us
  LinkPhase phase = LinkPhase::idle;
  LinkId link = 0;
  Instant limit;                       // waiting: of the pause; connecting, greeting: of the attempt
  std::uint32_t failures = 0;          // since it was last up
  std::string reported;                // the refusal that was last reported
};

}  // namespace

struct Membership::State {
  MembershipOptions options;
  std::vector<Peer> peers;
  LinkId links = 0;
  bool started = false;
  std::optional<Instant> timer;
  MembershipCommands out;

  Peer* find(const std::string& name);
  Peer* find(const std::string& name, LinkId link, LinkPhase phase);
  MembershipCommands finish_event();
  void connect(Peer& peer, Instant now);
  void pause(Peer& peer, std::string reason, Instant now);
  void admit(Peer& peer, const Hello& hello);
  void lose(Peer& peer, const std::string& reason);
  void refuse(Peer& peer, const std::string& reason, Instant now);
  std::string why_not(const Peer& peer, const Hello& hello) const;
};

Membership::Membership(MembershipOptions options) : state_(std::make_unique<State>()) {
  const Hello& self = options.self;
  const auto me = std::find_if(options.nodes.begin(), options.nodes.end(), [&](const ExpectedNode& n) { return n.name == self.name; });
  CHECK(me != options.nodes.end(), "node {} is not among the cluster's nodes", self.name);
  for (auto node = options.nodes.begin(); node != options.nodes.end(); ++node) {
    if (node == me || !needs(self.role, node->role)) continue;
    Peer peer{.view = {.name = node->name, .role = node->role, .control_address = node->control_address}};
    peer.dialled = node < me;
    state_->peers.push_back(std::move(peer));
  }
  state_->options = std::move(options);
}

Membership::~Membership() = default;
Membership::Membership(Membership&&) noexcept = default;

Peer* Membership::State::find(const std::string& name) {
  const auto place = std::find_if(peers.begin(), peers.end(), [&](const Peer& p) { return p.view.name == name; });
  return place == peers.end() ? nullptr : &*place;
}

Peer* Membership::State::find(const std::string& name, LinkId link, LinkPhase phase) {
  Peer* peer = find(name);
  return peer != nullptr && peer->link == link && peer->phase == phase ? peer : nullptr;
}

MembershipCommands Membership::State::finish_event() {
  std::optional<Instant> at;
  for (const Peer& peer : peers) {
    const bool limited = peer.phase == LinkPhase::waiting || peer.phase == LinkPhase::connecting || peer.phase == LinkPhase::greeting;
    if (limited && (!at || peer.limit < *at)) at = peer.limit;
  }
  if (at && at != timer) out.push_back(SetMembershipTimer{*at});
  timer = at;
  return std::exchange(out, {});
}

void Membership::State::connect(Peer& peer, Instant now) {
  peer.phase = LinkPhase::connecting;
  peer.link = ++links;
  peer.limit = now + options.connect_deadline;
  out.push_back(Connect{peer.view.name, peer.view.control_address, peer.link});
}

// The link is over; whoever dials tries again later.
void Membership::State::pause(Peer& peer, std::string reason, Instant now) {
  peer.view.reason = std::move(reason);
  peer.phase = peer.dialled ? LinkPhase::waiting : LinkPhase::idle;
  Duration wait = options.backoff_refused;
  if (peer.view.state != PeerState::refused) {
    wait = std::min(options.backoff_first * (std::int64_t{1} << std::min(peer.failures, 16u)), options.backoff_most);
  }
  const double spread = draw_unit(options.self.self.id.value, peer.link) / 4;
  peer.limit = now + wait - Duration{static_cast<std::int64_t>(spread * static_cast<double>(wait.count()))};
  ++peer.failures;
}

void Membership::State::admit(Peer& peer, const Hello& hello) {
  peer.phase = LinkPhase::up;
  peer.failures = 0;
  peer.reported.clear();
  peer.view.state = PeerState::ready;
  peer.view.reason.clear();
  peer.view.hello = hello;
  out.push_back(AdmitPeer{hello, peer.link});
}

void Membership::State::lose(Peer& peer, const std::string& reason) {
  if (peer.phase != LinkPhase::up) return;
  peer.view.state = PeerState::down;
  out.push_back(LosePeer{peer.view.hello, peer.link, reason});
}

void Membership::State::refuse(Peer& peer, const std::string& reason, Instant now) {
  peer.view.state = PeerState::refused;
  pause(peer, reason, now);
  if (peer.reported != reason) out.push_back(ReportRefused{peer.view.name, reason});
  peer.reported = reason;
}

std::string Membership::State::why_not(const Peer& peer, const Hello& hello) const {
  if (hello.role != peer.view.role) {
    return fmt::format("{} says it is a {} node, the cluster file says {}: give all nodes the same file", hello.name,
                       to_string(hello.role), to_string(peer.view.role));
  }
  // Only while that one is there: a process whose clock was set back before it started is newer all the same.
  if (peer.phase == LinkPhase::up && hello.self.incarnation < peer.view.hello.self.incarnation) {
    return fmt::format("a newer process of {} has joined: stop one of the two", hello.name);
  }
  return why_refused(options.self, hello);
}

MembershipCommands Membership::on(const StartMembership&, Instant now) {
  State& s = *state_;
  if (!std::exchange(s.started, true)) {
    for (Peer& peer : s.peers) {
      if (peer.dialled) s.connect(peer, now);
    }
  }
  return s.finish_event();
}

MembershipCommands Membership::on(const Connected& event, Instant now) {
  State& s = *state_;
  if (Peer* peer = s.find(event.name, event.link, LinkPhase::connecting)) {
    peer->phase = LinkPhase::greeting;
    peer->limit = now + s.options.connect_deadline;
    s.out.push_back(SayHello{event.name, event.link});
  } else {
    s.out.push_back(CloseLink{event.name, event.link});
  }
  return s.finish_event();
}

MembershipCommands Membership::on(const ConnectFailed& event, Instant now) {
  State& s = *state_;
  if (Peer* peer = s.find(event.name, event.link, LinkPhase::connecting)) {
    if (peer->view.state == PeerState::refused) peer->view.state = PeerState::down;    // the one that was refused is gone
    s.pause(*peer, event.reason, now);
  }
  return s.finish_event();
}

MembershipCommands Membership::on(const HelloArrived& event, Instant now) {
  State& s = *state_;
  const Hello& hello = event.hello;
  Peer* peer = s.find(hello.name);
  std::string why;
  if (peer == nullptr) {
    why = fmt::format("{} ({}) is not among the nodes that {} talks to: give all nodes the same cluster file", hello.name,
                      to_string(hello.role), s.options.self.name);
    s.out.push_back(RefuseHello{hello.name, why});
    return s.finish_event();
  }
  why = s.why_not(*peer, hello);
  if (why.empty() && peer->dialled) {
    why = fmt::format("the cluster file of {} lists the nodes in another order: give all nodes the same file", hello.name);
  }
  if (!why.empty()) {
    s.out.push_back(RefuseHello{hello.name, why});
    if (peer->phase == LinkPhase::idle) s.refuse(*peer, why, now);     // an impostor does not disturb the one that serves
    return s.finish_event();
  }
  if (peer->phase == LinkPhase::up) {
    const bool same = hello.self == peer->view.hello.self;
    s.lose(*peer, same ? "it connected anew" : "a newer process of it has joined");
    s.out.push_back(CloseLink{hello.name, peer->link});
  }
  peer->link = ++s.links;
  s.out.push_back(AnswerHello{hello.name, peer->link});
  s.admit(*peer, hello);
  return s.finish_event();
}

MembershipCommands Membership::on(const HelloAnswered& event, Instant now) {
  State& s = *state_;
  Peer* peer = s.find(event.name, event.link, LinkPhase::greeting);
  if (peer == nullptr) {
    s.out.push_back(CloseLink{event.name, event.link});
    return s.finish_event();
  }
  std::string why = s.why_not(*peer, event.hello);
  if (event.hello.name != event.name) {
    why = fmt::format("{} answers at {}, where the cluster file has {}", event.hello.name, peer->view.control_address, event.name);
  }
  if (why.empty()) {
    s.admit(*peer, event.hello);
  } else {
    s.out.push_back(SayGoodbye{event.name});       // it takes us for admitted
    s.out.push_back(CloseLink{event.name, event.link});
    s.refuse(*peer, why, now);
  }
  return s.finish_event();
}

MembershipCommands Membership::on(const HelloRejected& event, Instant now) {
  State& s = *state_;
  if (Peer* peer = s.find(event.name, event.link, LinkPhase::greeting)) {
    s.out.push_back(CloseLink{event.name, event.link});
    s.refuse(*peer, event.reason, now);
  }
  return s.finish_event();
}

MembershipCommands Membership::on(const LinkDown& event, Instant now) {
  State& s = *state_;
  Peer* peer = s.find(event.name);
  const bool live = peer != nullptr && peer->link == event.link &&
                    (peer->phase == LinkPhase::connecting || peer->phase == LinkPhase::greeting || peer->phase == LinkPhase::up);
  if (live) {
    if (peer->phase == LinkPhase::up) s.out.push_back(SayGoodbye{event.name});
    s.lose(*peer, event.reason);
    s.out.push_back(CloseLink{event.name, event.link});
    s.pause(*peer, event.reason, now);
  }
  return s.finish_event();
}

MembershipCommands Membership::on(const Goodbye& event, Instant now) {
  State& s = *state_;
  for (Peer& peer : s.peers) {
    if (peer.phase != LinkPhase::up || peer.view.hello.self != event.from) continue;
    s.lose(peer, "it said goodbye");
    s.out.push_back(CloseLink{peer.view.name, peer.link});
    s.pause(peer, "it said goodbye", now);
  }
  return s.finish_event();
}

MembershipCommands Membership::on(const MembershipTick&, Instant now) {
  State& s = *state_;
  s.timer.reset();                     // it rang
  for (Peer& peer : s.peers) {
    if (now < peer.limit) continue;
    if (peer.phase == LinkPhase::waiting) {
      s.connect(peer, now);
    } else if (peer.phase == LinkPhase::connecting || peer.phase == LinkPhase::greeting) {
      s.out.push_back(CloseLink{peer.view.name, peer.link});
      s.pause(peer, fmt::format("{} did not answer in time", peer.view.control_address), now);
    }
  }
  return s.finish_event();
}

std::vector<PeerView> Membership::peers() const {
  std::vector<PeerView> views;
  for (const Peer& peer : state_->peers) views.push_back(peer.view);
  return views;
}

const Hello& Membership::self() const { return state_->options.self; }

void Membership::check_invariants() const {
  for (const Peer& peer : state_->peers) {
    CHECK((peer.phase == LinkPhase::up) == (peer.view.state == PeerState::ready), "{}", peer.view.name);
    CHECK(peer.link <= state_->links);
    CHECK(peer.dialled || peer.phase == LinkPhase::idle || peer.phase == LinkPhase::up);
    CHECK(!state_->started || !peer.dialled || peer.phase != LinkPhase::idle, "nobody dials {}", peer.view.name);
  }
}

}  // namespace baton
