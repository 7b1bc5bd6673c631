// Ports of this machine: is one free, and some that stay ours until a child listens on them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

// Errors: address_in_use, when somebody listens there; invalid_config, when the address is not this machine's.
Status check_free(const std::string& host, std::uint16_t port);

// Ports below those that the kernel gives to outgoing connections, so that none takes one while its child restarts. Each is held
// by a bound socket that does not listen; a child that sets SO_REUSEADDR can.
class ReservedPorts {
 public:
  static Result<ReservedPorts> reserve(const std::string& host, std::size_t count);   // Errors: io_error
  ReservedPorts(ReservedPorts&& other) noexcept : held_(std::move(other.held_)) { other.held_.clear(); }
  ReservedPorts& operator=(ReservedPorts&&) = delete;
  ~ReservedPorts();

  std::uint16_t port(std::size_t i) const { return held_[i].port; }

 private:
  struct Held {
    std::uint16_t port = 0;
    int fd = -1;
  };
  ReservedPorts() = default;
  std::vector<Held> held_;
};

}  // namespace baton
