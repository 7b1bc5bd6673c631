#include "actors/network/local_ports.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <future>
#include <set>

#include "actors/network/connect_probe.h"
#include "tests/actors/status_words.h"

namespace baton {
namespace {

using testing::HasSubstr;

// Listens on a port of 127.0.0.1; `backlog` connections are queued, later ones are left without an answer.
class Listener {
 public:
  explicit Listener(int backlog, bool reuse = false, std::uint16_t port = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const int on = reuse ? 1 : 0;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    bound_ = ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && ::listen(fd_, backlog) == 0;
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd_); }
  bool bound() const { return bound_; }
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  bool bound_ = false;
  std::uint16_t port_ = 0;
};

Status probe(ConnectProbe& prober, std::uint16_t port, Duration deadline = Milliseconds{5000}) {
  std::promise<Status> answer;
  prober.probe("127.0.0.1", port, deadline, [&](Status status) { answer.set_value(std::move(status)); });
  return answer.get_future().get();
}

TEST(LocalPorts, a_busy_one_is_named_with_the_way_out) {
  const Listener listener{1};
  const Status status = check_free("127.0.0.1", listener.port());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::address_in_use);
  EXPECT_THAT(status.error().message, HasSubstr("--port"));
}

TEST(LocalPorts, an_address_of_another_machine_is_refused_as_such) {
  const Status status = check_free("192.0.2.1", 8000);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("--host"));
}

TEST(LocalPorts, reserved_ones_differ_and_only_who_reuses_can_listen_on_them) {
  const auto ports = ReservedPorts::reserve("127.0.0.1", 20);
  ASSERT_TRUE(ports.ok());
  std::set<std::uint16_t> all;
  for (std::size_t i = 0; i < 20; ++i) all.insert(ports->port(i));
  EXPECT_EQ(all.size(), 20u);
  EXPECT_FALSE(Listener(1, false, ports->port(0)).bound());
  EXPECT_TRUE(Listener(1, true, ports->port(0)).bound());
}

TEST(ConnectProbe, finds_who_listens) {
  ConnectProbe prober;
  const Listener listener{1};
  EXPECT_EQ(words(probe(prober, listener.port())), "");
}

TEST(ConnectProbe, says_that_nobody_listens) {
  ConnectProbe prober;
  std::uint16_t port = 0;
  { port = Listener{1}.port(); }
  EXPECT_THAT(probe(prober, port).error().message, HasSubstr("refused"));
}

// Probes of a listener whose queue is full: it holds the first, and the rest are left without an answer.
class Unanswered {
 public:
  Unanswered(ConnectProbe& prober, Duration deadline) {
    for (auto& promise : promises_) {
      prober.probe("127.0.0.1", full_.port(), deadline, [&](Status status) { promise.set_value(std::move(status)); });
    }
  }
  std::future<Status> last() { return promises_.back().get_future(); }

 private:
  Listener full_{0};
  std::array<std::promise<Status>, 4> promises_;
};

TEST(ConnectProbe, ends_by_its_deadline_where_nobody_answers) {
  ConnectProbe prober;
  Unanswered unanswered{prober, Milliseconds{50}};
  EXPECT_THAT(unanswered.last().get().error().message, HasSubstr("no answer in time"));
  prober.stop();
}

TEST(ConnectProbe, does_not_let_others_wait_for_one_that_is_not_answered) {
  ConnectProbe prober;
  const Listener good{8};
  Unanswered unanswered{prober, Milliseconds{3600000}};
  EXPECT_EQ(words(probe(prober, good.port())), "");
  EXPECT_NE(unanswered.last().wait_for(Milliseconds{0}), std::future_status::ready);
  prober.stop();                                     // before what its answers would go to
}

}  // namespace
}  // namespace baton
