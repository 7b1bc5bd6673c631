// The gateway of a simulated cluster: a RequestCore of every request that lives, and when its tokens came. Thread: none.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "runtime/cluster/request_core.h"
#include "runtime/sim/virtual_cluster.h"
#include "runtime/sim/virtual_world.h"

namespace baton::sim {

class VirtualRequests {
 public:
  VirtualRequests(VirtualWorld& world, const VirtualOptions& options, const Trace& trace);

  void start();                            // the first arrival is scheduled; each brings the next
  void arrival(std::uint32_t request);
  void deliver(const VirtualMessage& message);
  void timer_event(const VirtualEvent& event);

  std::size_t left() const { return left_; }               // not ended
  Instant last_end() const { return last_end_; }
  std::vector<VirtualRequest> take_records() { return std::move(records_); }

 private:
  struct Live {
    std::unique_ptr<RequestCore> core;     // nothing: not arrived, or ended
    VirtualTimer timer;
  };

  std::uint32_t request_of(const RequestKey& key) const { return static_cast<std::uint32_t>(key.request.value / kChoiceStride - 1); }
  void schedule_arrival(std::uint32_t request);
  template <class... Event>
  void on(std::uint32_t request, const Event&... event);

  void receive(const Assigned& message);
  void receive(const StepTokens& message);
  template <class Message>
  void receive(const Message& message);

  void carry_out(std::uint32_t request, SendAssign& command);
  void carry_out(std::uint32_t request, SendEnded& command);
  template <class Message>
  void carry_out(std::uint32_t request, SendToInstance<Message>& command);
  void carry_out(std::uint32_t request, EmitToken& command);
  void carry_out(std::uint32_t request, EmitPromptScores& command);
  void carry_out(std::uint32_t request, RequestOutcome& command);
  void carry_out(std::uint32_t request, SetRequestTimer& command);

  VirtualWorld& world_;
  const Trace& trace_;
  bool check_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<Live> live_;                 // by request
  std::vector<VirtualRequest> records_;
  std::size_t left_;
  Instant last_end_;
};

}  // namespace baton::sim
