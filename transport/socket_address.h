// "host:port" in numbers, and the network device that has an address. Names are not resolved: that may block, and the control plane
// tells addresses, not names.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace baton::transport {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

std::optional<SocketAddress> parse_host(const std::string& host, std::uint16_t port);   // IPv4, or IPv6 with or without []
std::optional<SocketAddress> parse_address(const std::string& host_and_port);
std::string to_string(const SocketAddress& address);                                    // host:port, [host]:port

// Name of the device ("lo", "eth0") that has `host`; nothing if none has.
std::optional<std::string> device_of(const std::string& host);

}  // namespace baton::transport
