#include "actors/network/connect_probe.h"

#include <netdb.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "actors/steady_time.h"

namespace baton {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

struct Probe {
  std::string host;
  std::uint16_t port = 0;
  Duration limit;
  ConnectProbe::Done done;
  Instant deadline;                                      // from when its name was known
  std::unique_ptr<addrinfo, FreeAddresses> addresses;
  const addrinfo* next = nullptr;                        // of them, to try when the one in hand fails
  int fd = -1;
};

Status unreachable(const Probe& probe, const std::string& why) {
  return Error{ErrorCode::peer_unreachable, Scope::peer, fmt::format("{}:{}: {}", probe.host, probe.port, why)};
}

// Begins to connect to the next address that can be tried; returns the answer if there is one at once.
std::optional<Status> try_next(Probe& probe, int error) {
  while (probe.next != nullptr) {
    const addrinfo& address = *std::exchange(probe.next, probe.next->ai_next);
    if (probe.fd >= 0) ::close(probe.fd);
    probe.fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe.fd >= 0 && ::connect(probe.fd, address.ai_addr, address.ai_addrlen) == 0) return ok();
    error = errno;
    if (probe.fd >= 0 && error == EINPROGRESS) return std::nullopt;
  }
  return unreachable(probe, std::strerror(error));
}

std::optional<Status> begin(Probe& probe) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(probe.host.c_str(), std::to_string(probe.port).c_str(), &hints, &found);
  if (rc != 0) return unreachable(probe, ::gai_strerror(rc));
  probe.addresses.reset(found);
  probe.next = found;
  probe.deadline = steady_now() + probe.limit;
  return try_next(probe, EADDRNOTAVAIL);
}

// Of the connection that is no longer under way.
std::optional<Status> outcome(Probe& probe) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(probe.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? ok() : try_next(probe, error);
}

}  // namespace

struct ConnectProbe::State {
  std::mutex mutex;
  std::vector<Probe> asked;          // guarded
  bool stopping = false;             // guarded
  int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::thread thread;

  void signal() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake, &one, sizeof one);
  }

  static void finish(Probe& probe, const Status& status) {
    if (probe.fd >= 0) ::close(probe.fd);
    probe.fd = -1;
    probe.done(status);
  }

  // Waits for a connection, a new probe or the first deadline.
  void wait(const std::vector<Probe>& pending, std::vector<pollfd>& polled) const {
    polled.assign(1, {wake, POLLIN, 0});
    std::int64_t wait_ms = -1;
    const Instant now = steady_now();
    for (const Probe& probe : pending) {
      polled.push_back({probe.fd, POLLOUT, 0});
      const std::int64_t left = std::max<std::int64_t>(0, (probe.deadline - now).count() / 1'000'000 + 1);
      wait_ms = wait_ms < 0 ? left : std::min(wait_ms, left);
    }
    ::poll(polled.data(), polled.size(), static_cast<int>(wait_ms));
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake, &count, sizeof count);
  }

  void run() {
    std::vector<Probe> pending;
    std::vector<pollfd> polled;
    while (true) {
      wait(pending, polled);
      std::vector<Probe> left;
      for (std::size_t i = 0; i < pending.size(); ++i) {
        std::optional<Status> answer;
        if (polled[i + 1].revents != 0) answer = outcome(pending[i]);
        if (answer) {
          finish(pending[i], *answer);
        } else if (pending[i].deadline <= steady_now()) {
          finish(pending[i], unreachable(pending[i], "no answer in time"));
        } else {
          left.push_back(std::move(pending[i]));
        }
      }
      pending = std::move(left);
      std::vector<Probe> fresh;
      {
        const std::lock_guard lock{mutex};
        if (stopping) break;
        fresh.swap(asked);
      }
      for (Probe& probe : fresh) {
        if (const auto status = begin(probe)) {
          finish(probe, *status);
        } else {
          pending.push_back(std::move(probe));
        }
      }
    }
    for (Probe& probe : pending) ::close(probe.fd);
  }
};

ConnectProbe::ConnectProbe() : state_(std::make_unique<State>()) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

ConnectProbe::~ConnectProbe() {
  stop();
  ::close(state_->wake);
}

void ConnectProbe::stop() {
  {
    const std::lock_guard lock{state_->mutex};
    state_->stopping = true;
  }
  state_->signal();
  if (state_->thread.joinable()) state_->thread.join();
}

void ConnectProbe::probe(const std::string& host, std::uint16_t port, Duration deadline, Done done) {
  {
    const std::lock_guard lock{state_->mutex};
    state_->asked.push_back({.host = host, .port = port, .limit = deadline, .done = std::move(done)});
  }
  state_->signal();
}

}  // namespace baton
