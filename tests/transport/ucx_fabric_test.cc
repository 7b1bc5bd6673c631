// What only the UCX fabric has to stand: processes that die, garbage on its port, and idleness.
#include "transport/ucx_fabric.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <random>

#include "tests/transport/fabric_world.h"
#include "tests/transport/slot_arena.h"
#include "tests/transport/ucx_process.h"
#include "transport/clock.h"
#include "transport/socket_address.h"

namespace baton::transport {
namespace {

constexpr std::int64_t kLong = 60'000'000'000;
// Generous to a busy machine, and far less than UCX's own keep-alive or the deadline of a grant would take.
constexpr std::int64_t kSoon = 5'000'000'000;
constexpr SlotShape kBlocks{.slots = 20, .run_bytes = 12288, .stride_bytes = 12288, .runs = 1};

double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

std::uint16_t port_of(const Fabric& fabric) { return std::stoi(fabric.address().substr(fabric.address().rfind(':') + 1)); }

void move_and_expect(UcxWorld& world, FabricNode& from, FabricNode& to, Transfer transfer) {
  SlotArena source(kBlocks), target(kBlocks);
  source.fill(transfer);
  to->grant({transfer, from.id, target.all(), kLong});
  from->send(to.id, transfer, source.to_send());
  from->close_sends(transfer);
  ASSERT_TRUE(world.until([&] { return to.heard.landed_of(transfer) == kBlocks.slots; }));
  ASSERT_TRUE(world.until([&] { return from.heard.sends_complete.contains(transfer); }));
  ASSERT_TRUE(target.content(7) == source.content(7));
}

TEST(UcxFabric, a_killed_receiver_fails_the_sends_soon_and_gives_all_memory_back) {
  UcxWorld world;
  auto p = world.node(1);
  for (Transfer round = 0; round < 3; ++round) {
    UcxProcess d(2, 1002);
    ASSERT_FALSE(d.address().empty());
    (*p)->connect(2, d.address(), 1002);
    SlotArena source(UcxProcess::kShape);
    (*p)->send(2, 7, source.to_send(0, 1));                  // its grant; one slot proves the connection
    (*p)->send(2, 100 + round, source.to_send());            // no grant: rejected there, all the same to us
    (*p)->close_sends(100 + round);
    (*p)->send(2, 200 + round, source.to_send());
    ASSERT_TRUE(world.until([&] { return p->heard.sends_complete.contains(100 + round); }));
    const std::int64_t killed = now_ns();
    d.signal(SIGKILL);
    ASSERT_TRUE(world.until([&] { return p->heard.peers_failed[2].size() == round + 1; }));
    (*p)->close_sends(200 + round);
    ASSERT_TRUE(world.until([&] { return p->heard.sends_complete.contains(200 + round); }));
    EXPECT_LT(now_ns() - killed, kSoon);
  }
}

TEST(UcxFabric, a_killed_sender_fails_its_grants_soon) {
  UcxWorld world;
  auto d = world.node(1);
  for (int round = 1; round <= 3; ++round) {
    SlotArena target(UcxProcess::kShape);
    (*d)->grant({8, 2, target.all(), kLong});
    UcxProcess p(2, 1002, (*d)->address(), d->token);
    ASSERT_FALSE(p.address().empty());
    ASSERT_TRUE(world.until([&] { return d->heard.landed_of(8) == UcxProcess::kShape.slots / 2; }));
    const std::int64_t killed = now_ns();
    p.signal(SIGKILL);
    ASSERT_TRUE(world.until([&] { return d->heard.failed.contains(8); }));
    EXPECT_LT(now_ns() - killed, kSoon);
    EXPECT_TRUE(target.guards_intact());
    world.look([&] { d->heard.landed.clear(), d->heard.failed.clear(); });
  }
}

TEST(UcxFabric, a_sender_killed_in_mid_transfer_leaves_only_whole_slots_behind) {
  UcxWorld world;
  auto d = world.node(1, {.staging_pieces = 1});             // most of it waits on back-pressure when the sender dies
  for (int round = 1; round <= 5; ++round) {
    SlotArena target(UcxProcess::kShape);
    (*d)->grant({8, 2, target.all(), kLong});
    UcxProcess p(2, 1002, (*d)->address(), d->token);
    ASSERT_TRUE(world.until([&] { return d->heard.landed_of(8) > 0; }));
    p.signal(SIGKILL);
    ASSERT_TRUE(world.until([&] { return d->heard.failed.contains(8); }));
    for (std::uint32_t i = 0; i < UcxProcess::kShape.slots; ++i) {
      ASSERT_TRUE(world.look([&] { return d->heard.landed[8].contains(i); }) || target.untouched(i)) << i;
    }
    EXPECT_TRUE(target.guards_intact());
    world.look([&] { d->heard.landed.clear(), d->heard.failed.clear(); });
  }
  auto p = world.node(3);
  p->connect_to(*d);
  move_and_expect(world, *p, *d, 50);                        // no staging buffer was lost on the way
}

TEST(UcxFabric, disconnecting_a_stopped_peer_gives_the_memory_back_soon) {
  UcxWorld world;
  auto p = world.node(1);
  UcxProcess d(2, 1002);
  (*p)->connect(2, d.address(), 1002);
  SlotArena source(UcxProcess::kShape);
  (*p)->send(2, 7, source.to_send(0, 1));
  (*p)->close_sends(7);
  ASSERT_TRUE(world.until([&] { return p->heard.sends_complete.contains(7); }));
  d.signal(SIGSTOP);
  (*p)->send(2, 70, source.to_send());
  (*p)->close_sends(70);
  const std::int64_t start = now_ns();
  (*p)->disconnect(2);
  ASSERT_TRUE(world.until([&] { return p->heard.sends_complete.contains(70); }));
  EXPECT_LT(now_ns() - start, kSoon);
  EXPECT_EQ(p->heard.sends_complete[70], std::vector<bool>{true});
}

TEST(UcxFabric, an_idle_fabric_sleeps) {
  UcxWorld world;
  auto p = world.node(1), d = world.node(2);
  p->connect_to(*d);
  move_and_expect(world, *p, *d, 7);
  const double before = cpu_seconds();
  const timespec nap{2, 0};
  nanosleep(&nap, nullptr);                                  // what is measured, not a wait for something
  EXPECT_LT(cpu_seconds() - before, 0.02);                   // 1 % of a core, for two fabrics together
}

// Connections to the listener's port that say random things, and some that say nothing: it answers its peers as before, and new
// ones too.
TEST(UcxFabric, survives_random_bytes_on_its_port) {
  UcxWorld world;
  auto p = world.node(1), q = world.node(3), d = world.node(2);
  p->connect_to(*d);
  move_and_expect(world, *p, *d, 7);
  const auto address = parse_address((*d)->address());
  ASSERT_TRUE(address);
  std::mt19937_64 random(9);
  std::vector<int> silent;
  for (int i = 0; i < 300; ++i) {
    const int fd = socket(address->storage.ss_family, SOCK_STREAM, 0);
    if (connect(fd, address->get(), address->length) == 0 && i % 10 != 0) {
      std::string noise(random() % 4096, 'x');
      for (char& c : noise) c = static_cast<char>(random());
      [[maybe_unused]] const auto sent = ::send(fd, noise.data(), noise.size(), MSG_NOSIGNAL);
    }
    if (i % 10 == 0) {
      silent.push_back(fd);
    } else {
      close(fd);
    }
  }
  move_and_expect(world, *p, *d, 8);
  q->connect_to(*d);
  move_and_expect(world, *q, *d, 9);
  for (const int fd : silent) close(fd);
}

TEST(UcxFabric, refuses_options_that_cannot_work_and_says_what_to_do) {
  Bulletin bulletin;
  Recorder recorder(bulletin);
  const auto refusal = [&](FabricOptions options) { return make_ucx_fabric(options, &recorder).message; };
  FabricOptions good;
  good.self = 1;
  auto first = make_ucx_fabric(good, &recorder);
  ASSERT_NE(first.fabric, nullptr) << first.message;
  FabricOptions options = good;
  options.bind_address = "203.0.113.7";
  EXPECT_NE(refusal(options).find("203.0.113.7"), std::string::npos);
  options.bind_address = "localhost";
  EXPECT_NE(refusal(options).find("not a name"), std::string::npos);
  options.bind_address = "0.0.0.0";
  EXPECT_NE(refusal(options), "");
  options = good;
  options.port = port_of(*first.fabric);
  EXPECT_NE(refusal(options).find("taken"), std::string::npos);
  options = good;
  options.piece_bytes = 100;
  EXPECT_NE(refusal(options).find("piece_bytes"), std::string::npos);
  options = good;
  options.self = 0;
  EXPECT_NE(refusal(options).find("PeerId"), std::string::npos);
}

TEST(UcxFabric, listens_only_on_the_device_of_its_address) {
  EXPECT_EQ(device_of("127.0.0.1"), "lo");
  Bulletin bulletin;
  Recorder recorder(bulletin);
  FabricOptions options;
  options.self = 1;
  const auto made = make_ucx_fabric(options, &recorder);
  ASSERT_NE(made.fabric, nullptr);
  // Every TCP socket of this process that listens: UCX's own transport ports too.
  for (int fd = 0; fd < 1024; ++fd) {
    SocketAddress bound;
    bound.length = sizeof bound.storage;
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) continue;
    getsockname(fd, reinterpret_cast<sockaddr*>(&bound.storage), &bound.length);
    EXPECT_EQ(to_string(bound).substr(0, 10), "127.0.0.1:") << to_string(bound);
  }
}

TEST(UcxFabric, ends_soon_when_nothing_is_connected_and_can_be_made_again_on_its_port) {
  Bulletin bulletin;
  Recorder recorder(bulletin);
  FabricOptions options;
  options.self = 1;
  for (int round = 0; round < 3; ++round) {
    const std::int64_t start = now_ns();
    auto made = make_ucx_fabric(options, &recorder);
    ASSERT_NE(made.fabric, nullptr) << made.message;
    options.port = port_of(*made.fabric);
    made.fabric.reset();
    EXPECT_LT(now_ns() - start, kSoon);
  }
}

TEST(UcxFabric, tells_the_version_of_ucx) { EXPECT_GE(ucx_version().major, 1u); }

TEST(UcxFabric, takes_ucx_out_of_the_signal_handlers) {
  UcxWorld world;
  auto p = world.node(1);
  for (const int number : {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGHUP}) {
    struct sigaction action {};
    Dl_info owner{};
    sigaction(number, nullptr, &action);
    if (dladdr(reinterpret_cast<const void*>(action.sa_handler), &owner) == 0) continue;
    EXPECT_EQ(std::string(owner.dli_fname).find("libucs"), std::string::npos) << number;
  }
}

}  // namespace
}  // namespace baton::transport
