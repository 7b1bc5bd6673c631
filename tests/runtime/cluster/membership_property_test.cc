// Whatever order nodes start in, die, come back and are cut off from each other: once that ends, all who need each other are ready,
// and mean each other's present life. No order of messages is assumed.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "runtime/base/random.h"
#include "runtime/cluster/membership.h"
#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

const std::vector<ExpectedNode> kAllNodes = {{"g", Role::gateway, "h:1"}, {"s", Role::scheduler, "h:2"}, {"p", Role::prefill, "h:3"},
                                          {"d", Role::decode, "h:4"},  {"m", Role::mixed, "h:5"}};

class Network {
 public:
  explicit Network(std::uint64_t seed) : random_(seed), nodes_(kAllNodes.size()) {}

  void run() {
    for (int step = 0; step < 1500; ++step) {
      const std::size_t node = random_.below(nodes_.size());
      switch (random_.below(60)) {
        case 0: start(node); break;
        case 1: stop(node); break;
        case 2: cut(node, random_.below(nodes_.size())); break;
        default: advance();
      }
    }
    for (std::size_t node = 0; node < nodes_.size(); ++node) start(node);
    const Instant end = now_ + Milliseconds{30'000};
    while (now_ < end) advance();
  }

  void expect_all_ready() const {
    for (std::size_t a = 0; a < nodes_.size(); ++a) {
      const std::vector<PeerView> peers = nodes_[a].core->peers();
      for (const PeerView& peer : peers) {
        EXPECT_EQ(peer.state, PeerState::ready) << kAllNodes[a].name << " sees " << peer.name << ": " << peer.reason;
        const Node& other = nodes_[place_of(peer.name)];
        EXPECT_EQ(peer.hello.self.incarnation.value, other.life) << kAllNodes[a].name << " sees another life of " << peer.name;
        EXPECT_EQ(nodes_[a].admitted.count(peer.name), 1u);
      }
    }
  }

 private:
  struct Node {
    std::unique_ptr<Membership> core;          // none: not running
    std::uint64_t life = 0;
    Instant timer{INT64_MAX};
    std::set<std::string> admitted;            // as its commands said
  };
  struct Wire {                                // a connection; the dialled side has a link once it has answered
    std::size_t dialler = 0, dialled = 0;
    std::uint64_t dialler_life = 0, dialled_life = 0;
    LinkId dialler_link = 0, dialled_link = 0;
    bool up = true;
  };
  struct Pending {
    Instant at;
    std::size_t node;
    std::uint64_t life;
    std::function<void()> give;
  };

  static std::size_t place_of(const std::string& name) {
    for (std::size_t i = 0; i < kAllNodes.size(); ++i) {
      if (kAllNodes[i].name == name) return i;
    }
    return 0;
  }

  void start(std::size_t node) {
    if (nodes_[node].core) return;
    const ExpectedNode& known = kAllNodes[node];
    const InstanceRef self{InstanceId{node + 1}, Incarnation{++nodes_[node].life}};
    const Hello hello{.self = self, .name = known.name, .role = known.role};
    nodes_[node].core = std::make_unique<Membership>(MembershipOptions{.self = hello, .nodes = kAllNodes});
    nodes_[node].admitted.clear();
    feed(node, StartMembership{});
  }
  void stop(std::size_t node) {
    for (std::size_t other = 0; other < nodes_.size(); ++other) cut(node, other);
    nodes_[node].core.reset();
    nodes_[node].timer = Instant{INT64_MAX};
  }
  void cut(std::size_t a, std::size_t b) {
    for (Wire& wire : wires_) {
      const bool between = (wire.dialler == a && wire.dialled == b) || (wire.dialler == b && wire.dialled == a);
      if (!between || !wire.up) continue;
      wire.up = false;
      later(wire.dialler, wire.dialler_life, LinkDown{kAllNodes[wire.dialled].name, wire.dialler_link, "cut"});
      if (wire.dialled_link == 0) continue;
      later(wire.dialled, wire.dialled_life, LinkDown{kAllNodes[wire.dialler].name, wire.dialled_link, "cut"});
    }
  }

  // To the next thing that happens, or a little further.
  void advance() {
    Instant next = now_ + Milliseconds{100};
    for (const Pending& p : pending_) next = std::min(next, p.at);
    for (const Node& node : nodes_) next = std::min(next, node.timer);
    now_ = std::max(now_, next);
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      if (pending_[i].at > now_) continue;
      const Pending due = pending_[i];
      pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(i));
      if (nodes_[due.node].core && nodes_[due.node].life == due.life) due.give();
      return;
    }
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      if (nodes_[node].timer > now_) continue;
      nodes_[node].timer = Instant{INT64_MAX};
      feed(node, MembershipTick{});
    }
  }
  template <class Event>
  void later(std::size_t node, std::uint64_t life, Event event) {
    pending_.push_back({now_ + Milliseconds{random_.below(30)}, node, life, [this, node, event] { feed(node, event); }});
  }
  template <class Event>
  void feed(std::size_t node, const Event& event) {
    for (const MembershipCommand& command : nodes_[node].core->on(event, now_)) {
      std::visit([&](const auto& c) { carry_out(node, c); }, command);
    }
    nodes_[node].core->check_invariants();
  }

  void carry_out(std::size_t node, const Connect& c) {
    const std::size_t to = place_of(c.name);
    if (nodes_[to].core && random_.below(8) != 0) {
      wires_.push_back({node, to, nodes_[node].life, nodes_[to].life, c.link, 0, true});
      later(node, nodes_[node].life, Connected{c.name, c.link});
    } else if (random_.below(2) == 0) {
      later(node, nodes_[node].life, ConnectFailed{c.name, c.link, "refused"});
    }                                                                       // else a black hole
  }
  void carry_out(std::size_t node, const SayHello& c) {
    for (std::size_t i = 0; i < wires_.size(); ++i) {
      const Wire& wire = wires_[i];
      if (wire.dialler != node || wire.dialler_link != c.link || wire.dialler_life != nodes_[node].life || !wire.up) continue;
      const Hello said = nodes_[node].core->self();
      const Instant then = now_ + Milliseconds{random_.below(30)};
      pending_.push_back({then, wire.dialled, wire.dialled_life, [this, i, said] { arrive(i, said); }});
    }
  }
  void arrive(std::size_t place, const Hello& hello) {
    const Wire wire = wires_[place];
    if (!wire.up) return;
    const MembershipCommands said = nodes_[wire.dialled].core->on(HelloArrived{hello}, now_);
    for (const MembershipCommand& command : said) {
      if (const auto* answer = std::get_if<AnswerHello>(&command)) {
        wires_[place].dialled_link = answer->link;
        const Hello& self = nodes_[wire.dialled].core->self();
        later(wire.dialler, wire.dialler_life, HelloAnswered{kAllNodes[wire.dialled].name, wire.dialler_link, self});
      } else if (const auto* refuse = std::get_if<RefuseHello>(&command)) {
        later(wire.dialler, wire.dialler_life, HelloRejected{kAllNodes[wire.dialled].name, wire.dialler_link, refuse->reason});
      } else {
        std::visit([&](const auto& c) { carry_out(wire.dialled, c); }, command);
      }
    }
    nodes_[wire.dialled].core->check_invariants();
  }
  void carry_out(std::size_t node, const AdmitPeer& c) {
    EXPECT_TRUE(nodes_[node].admitted.insert(c.hello.name).second) << "admitted twice";
  }
  void carry_out(std::size_t node, const LosePeer& c) {
    EXPECT_EQ(nodes_[node].admitted.erase(c.hello.name), 1u) << "lost, not admitted";
  }
  void carry_out(std::size_t node, const SayGoodbye& c) {
    const std::size_t to = place_of(c.name);
    if (nodes_[to].core && random_.below(2) == 0) later(to, nodes_[to].life, Goodbye{nodes_[node].core->self().self});
  }
  void carry_out(std::size_t node, const SetMembershipTimer& c) { nodes_[node].timer = c.at; }
  template <class Other>
  void carry_out(std::size_t, const Other&) {}

  Random random_;
  std::vector<Node> nodes_;
  std::vector<Wire> wires_;
  std::vector<Pending> pending_;
  Instant now_ = at(0);
};

TEST(MembershipProperty, all_are_ready_for_each_other_once_faults_end) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Network network{seed};
    network.run();
    network.expect_all_ready();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace baton
