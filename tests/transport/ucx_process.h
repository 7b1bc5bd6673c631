// A fabric in a process of its own, to be killed or stopped.
#pragma once

#include <sys/types.h>

#include <string>

#include "tests/transport/slot_arena.h"
#include "transport/fabric.h"

namespace baton::transport {

class UcxProcess {
 public:
  static constexpr SlotShape kShape{.slots = 64, .run_bytes = 1 << 20, .stride_bytes = 1 << 20, .runs = 1};

  // Grants peer 1 transfer 7 of kShape. Told an address, it sends half of transfer 8 there and leaves the rest owing.
  UcxProcess(PeerId id, std::uint64_t token, const std::string& parent = "", std::uint64_t parent_token = 0);
  ~UcxProcess();

  const std::string& address() const { return address_; }   // empty: it did not start
  void signal(int number);                                   // SIGKILL also waits for its end

 private:
  pid_t pid_ = -1;
  std::string address_;
};

}  // namespace baton::transport
