#include "actors/network/local_ports.h"

#include <netdb.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>

namespace baton {
namespace {

// A bound socket, or minus errno.
int bind_socket(const std::string& host, std::uint16_t port, bool reuse) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return -EADDRNOTAVAIL;
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = reuse ? 1 : 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const int bound = fd < 0 ? -1 : ::bind(fd, found->ai_addr, found->ai_addrlen);
  const int error = errno;
  ::freeaddrinfo(found);
  if (bound == 0) return fd;
  if (fd >= 0) ::close(fd);
  return -error;
}

unsigned first_outgoing_port() {
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  unsigned first = 0;
  return range >> first && first > 12000 ? first : 32768;
}

}  // namespace

Status check_free(const std::string& host, std::uint16_t port) {
  const int fd = bind_socket(host, port, true);          // a port that only lingers in TIME_WAIT is free
  if (fd >= 0) {
    const int listening = ::listen(fd, 1);
    const int error = errno;
    ::close(fd);
    if (listening == 0) return ok();
    errno = error;
  } else {
    errno = -fd;
  }
  if (errno == EADDRINUSE) {
    return Error{ErrorCode::address_in_use, Scope::instance,
                 fmt::format("{}:{} is taken by another program; use --port N, or --port 0 for any free one", host, port)};
  }
  return Error{ErrorCode::invalid_config, Scope::instance,
               fmt::format("cannot listen on {}:{}: {}; use --host with an address of this machine", host, port, std::strerror(errno))};
}

Result<ReservedPorts> ReservedPorts::reserve(const std::string& host, std::size_t count) {
  constexpr unsigned kLowest = 10240;
  const unsigned span = first_outgoing_port() - kLowest;
  std::random_device entropy;
  const unsigned start = entropy() % span;
  ReservedPorts ports;
  for (unsigned i = 0; i < span && ports.held_.size() < count; ++i) {
    const auto port = static_cast<std::uint16_t>(kLowest + (start + i) % span);
    const int alone = bind_socket(host, port, false);    // fails where another program holds or reserved it
    if (alone < 0) continue;
    ::close(alone);
    const int fd = bind_socket(host, port, true);
    if (fd >= 0) ports.held_.push_back({port, fd});
  }
  if (ports.held_.size() == count) return ports;
  return Error{ErrorCode::io_error, Scope::instance, fmt::format("found no {} free ports on {}", count, host)};
}

ReservedPorts::~ReservedPorts() {
  for (const Held& held : held_) ::close(held.fd);
}

}  // namespace baton
