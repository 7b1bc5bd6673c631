#include "actors/node_actor.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <caf/scoped_actor.hpp>

#include "runtime/base/random.h"
#include "tests/actors/test_node.h"

namespace baton {
namespace {

using testing::HasSubstr;

// Connects, sends bytes that are no TLS, and goes away.
void disturb(std::uint16_t port, std::size_t bytes, std::uint64_t seed) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  std::string garbage;
  for (std::size_t i = 0; i < bytes; ++i) garbage += static_cast<char>(draw64(seed, i));
  (void)::send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL);
  ::close(fd);
}

TEST(NodeActor, nodes_meet_whoever_starts_first) {
  for (const bool dialler_first : {false, true}) {
    TestCluster cluster{{{"g", Role::gateway}, {"s", Role::scheduler}}};
    std::unique_ptr<TestNode> g, s;
    if (dialler_first) {
      s = std::make_unique<TestNode>(cluster, cluster.hello("s"));
      g = std::make_unique<TestNode>(cluster, cluster.hello("g"));
    } else {
      g = std::make_unique<TestNode>(cluster, cluster.hello("g"));
      s = std::make_unique<TestNode>(cluster, cluster.hello("s"));
    }
    EXPECT_TRUE(g->log->await("joined s"));
    EXPECT_TRUE(s->log->await("joined g"));
  }
}

TEST(NodeActor, a_peer_that_ends_has_left_and_its_next_life_joins) {
  TestCluster cluster{{{"g", Role::gateway}, {"s", Role::scheduler}, {"d", Role::mixed}}};
  TestNode g{cluster, cluster.hello("g")}, s{cluster, cluster.hello("s")};
  for (int life = 1; life <= 2; ++life) {
    TestNode d{cluster, cluster.hello("d")};
    EXPECT_TRUE(g.log->await("joined d", life));
    EXPECT_TRUE(s.log->await("joined d", life));
  }
  EXPECT_TRUE(g.log->await("left d", 2));
  EXPECT_TRUE(s.log->await("left d", 2));
}

TEST(NodeActor, connections_that_fail_or_speak_garbage_do_not_disturb_the_others) {
  TestCluster cluster{{{"g", Role::gateway}, {"s", Role::scheduler}, {"d", Role::mixed}}};
  TestNode g{cluster, cluster.hello("g")}, s{cluster, cluster.hello("s")};
  ASSERT_TRUE(g.log->await("joined s"));
  for (std::uint64_t i = 0; i < 100; ++i) {
    disturb(cluster.config.nodes[0].control.port, i % 3 * 300, i);
    disturb(cluster.config.nodes[1].control.port, i % 2 * 50, i);
  }
  { TestNode d{cluster, cluster.hello("d")}; EXPECT_TRUE(g.log->await("joined d")); EXPECT_TRUE(s.log->await("joined d")); }
  EXPECT_TRUE(g.log->await("left d"));
  EXPECT_TRUE(s.log->await("left d"));
  TestNode again{cluster, cluster.hello("d")};             // its messages pass after whatever the failures left behind
  EXPECT_TRUE(g.log->await("joined d", 2));
  EXPECT_TRUE(s.log->await("joined d", 2));
  EXPECT_EQ(g.log->count("left s"), 0);
  EXPECT_EQ(s.log->count("left g"), 0);
}

TEST(NodeActor, a_node_with_another_model_is_refused_by_name_on_both_sides) {
  TestCluster cluster{{{"g", Role::gateway}, {"d", Role::mixed}}};
  Hello ours = cluster.hello("g"), theirs = cluster.hello("d");
  ours.model = "one";
  ours.kv.model_fingerprint = 1;
  theirs.model = "another";
  theirs.kv.model_fingerprint = 2;
  TestNode g{cluster, ours}, d{cluster, theirs};
  EXPECT_TRUE(g.log->await("refused d"));
  EXPECT_TRUE(d.log->await("refused g"));
  EXPECT_EQ(g.log->count("joined d"), 0);
}

TEST(NodeActor, who_has_no_certificate_of_the_cluster_does_not_get_in) {
  TestCluster cluster{{{"g", Role::gateway}, {"s", Role::scheduler}}}, stranger{{{"s", Role::scheduler}}};
  TestNode g{cluster, cluster.hello("g")};
  auto outside = ControlSystem::start({.keys = stranger.keys("s")});
  ASSERT_TRUE(outside.ok());
  caf::scoped_actor self{(*outside)->system()};
  std::string refused;
  self->request((*outside)->dialler(), Milliseconds{10000}, caf::connect_atom::value, std::string{"127.0.0.1"},
                cluster.config.nodes[0].control.port)
      .receive([](const caf::node_id&, const caf::strong_actor_ptr&, const std::set<std::string>&) {},
               [&](const caf::error& error) { refused = to_string(error); });
  // Whichever side gives up first; a timeout would be no refusal.
  EXPECT_THAT(refused, testing::AnyOf(to_string(caf::make_error(caf::sec::cannot_connect_to_node)),
                                      to_string(caf::make_error(caf::sec::disconnect_during_handshake))));
  TestNode s{cluster, cluster.hello("s")};
  EXPECT_TRUE(g.log->await("joined s"));
}

TEST(NodeActor, another_node_can_spawn_a_registered_type_which_is_restarted_a_bounded_number_of_times) {
  TestCluster cluster{{{"g", Role::gateway}, {"s", Role::scheduler}}};
  TestNode g{cluster, cluster.hello("g")}, s{cluster, cluster.hello("s")};
  const auto log = s.log;
  // Every life of the child fails as soon as it is told of a peer, which a new child is at once.
  ASSERT_TRUE(s.types->add("failing", [log](const SpawnContext& context) -> Result<SpawnedActor> {
    log->add("spawned with " + context.arguments.at(0).second);
    return SpawnedActor{context.system->spawn([](caf::event_based_actor* self) -> caf::behavior {
      return {[self](const PeerJoined&) { self->quit(caf::make_error(caf::sec::runtime_error)); }};
    }), {}, nullptr};
  }).ok());
  const auto nobody = [](const SpawnContext&) -> Result<SpawnedActor> { return SpawnedActor{caf::actor{}, {}, nullptr}; };
  ASSERT_TRUE(s.types->add_role(Role::decode, nobody).ok());
  ASSERT_TRUE(g.log->await("joined s"));
  ASSERT_TRUE(s.log->await("joined g"));

  caf::scoped_actor self{g.system()};
  caf::actor remote;
  self->request(g.dialler(), Milliseconds{10000}, caf::connect_atom::value, std::string{"127.0.0.1"}, cluster.config.nodes[1].control.port)
      .receive([&](const caf::node_id&, const caf::strong_actor_ptr& node, const std::set<std::string>&) {
                 remote = caf::actor_cast<caf::actor>(node);
               },
               [](const caf::error&) {});
  ASSERT_TRUE(remote);
  bool spawned = false;
  self->request(remote, Milliseconds{10000}, SpawnActor{"failing", {{"key", "value"}}})
      .receive([&](const caf::actor& child) { spawned = static_cast<bool>(child); }, [](const caf::error&) {});
  EXPECT_TRUE(spawned);
  EXPECT_TRUE(s.log->await("spawned with value", 6));        // once, and five restarts

  std::string reason;
  self->request(remote, Milliseconds{10000}, SpawnActor{"nonsense", {}})
      .receive([&](const SpawnRefused& refused) { reason = refused.error.message; }, [](const caf::error&) {});
  EXPECT_THAT(reason, HasSubstr("there are: decode, failing"));
  self->request(remote, Milliseconds{10000}, SpawnActor{"decode", {}})
      .receive([&](const SpawnRefused& refused) { reason = refused.error.message; }, [](const caf::error&) {});
  EXPECT_THAT(reason, HasSubstr("\"decode\" is a node's own role"));
  EXPECT_EQ(s.log->count("spawned with value"), 6);
}

// A system waits for its actors: a child that stayed would keep the process for ever.
TEST(NodeActor, its_children_end_with_it) {
  TestCluster cluster{{{"g", Role::gateway}}};
  auto log = std::make_shared<EventLog>();
  auto g = std::make_unique<TestNode>(cluster, cluster.hello("g"));
  ASSERT_TRUE(g->types->add("sleeper", [log](const SpawnContext& context) -> Result<SpawnedActor> {
    return SpawnedActor{context.system->spawn([log](caf::event_based_actor* self) -> caf::behavior {
      self->attach_functor([log] { log->add("child ended"); });
      return {[me = caf::actor_cast<caf::actor>(self)](int) {}};   // as a role that others know: no lack of references ends it
    }), {}, nullptr};
  }).ok());
  {
    caf::scoped_actor self{g->system()};
    bool spawned = false;
    self->request(g->node(), Milliseconds{10000}, SpawnActor{"sleeper", {}})
        .receive([&](const caf::actor& child) { spawned = static_cast<bool>(child); }, [](const caf::error&) {});
    ASSERT_TRUE(spawned);
  }
  caf::anon_send_exit(g->node(), caf::exit_reason::user_shutdown);
  EXPECT_TRUE(log->await("child ended"));
}

TEST(NodeActor, the_end_of_its_role_is_told_to_the_process) {
  TestCluster cluster{{{"g", Role::gateway}, {"s", Role::scheduler}}};
  TestNode g{cluster, cluster.hello("g")};
  caf::anon_send_exit(g.role(), caf::exit_reason::kill);
  EXPECT_TRUE(g.log->await("role down"));
}

}  // namespace
}  // namespace baton
