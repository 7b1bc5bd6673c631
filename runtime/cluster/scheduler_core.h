// The cluster's scheduler: who is there, how loaded, who gets the next request. Soft state only: restarted, it knows nothing and
// rebuilds from hellos and load reports; running requests do not notice.
//
// Pairs that cannot reach each other, as their reports say, are made only where there is no other.
// Load between two reports of an instance is estimated by what was assigned to it and not yet reported ended (RequestEnded).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/time.h"
#include "runtime/cluster/admission.h"
#include "runtime/messages/membership.h"
#include "runtime/messages/request.h"

namespace baton {

struct SchedulerOptions {
  std::string routing = "jsq";                 // a name of routing_registry.h: jsq, prefix_aware, ...
  std::string admission = "none";              // a name of admission.h: none, deadline, early_rejection
  AdmissionOptions admission_options;
  HandOffMode hand_off = HandOffMode::pull;
  std::uint64_t seed = 1;                      // of power_of_two's draws
  std::uint32_t max_waiting = 1024;            // requests waiting over the suitable instances; beyond it queue_full
  Duration report_timeout = Milliseconds{3000};      // an instance not heard of for so long is not assigned to
};

// ---- events: AssignRequest, RequestEnded, LoadReport, and ----
struct InstanceJoined { Hello hello; };
struct InstanceLeft { InstanceRef instance; };
struct GatewayLeft { InstanceRef gateway; };   // its requests are over

// ---- commands ----
struct ReplyAssigned { InstanceRef gateway; Assigned message; };
struct ReplyRefused { InstanceRef gateway; AssignRefused message; };
using SchedulerCommand = std::variant<ReplyAssigned, ReplyRefused>;
using SchedulerCommands = std::vector<SchedulerCommand>;

class SchedulerCore {
 public:
  explicit SchedulerCore(SchedulerOptions options);   // CHECKs that the policies are registered; the config reader refuses them before
  ~SchedulerCore();
  SchedulerCore(SchedulerCore&&) noexcept;

  SchedulerCommands on(const InstanceJoined& event, Instant now);
  SchedulerCommands on(const InstanceLeft& event, Instant now);
  SchedulerCommands on(const GatewayLeft& event, Instant now);
  SchedulerCommands on(const LoadReport& event, Instant now);
  SchedulerCommands on(const InstanceRef& gateway, const AssignRequest& event, Instant now);
  SchedulerCommands on(const InstanceRef& gateway, const RequestEnded& event, Instant now);

  void check_invariants() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton
