// What the HTTP side needs of the cluster, without knowing actors: submit a request and get its events, cancel it, look at the nodes.
// Implemented by the gateway's actors; by a fake in the tests of the HTTP side.
//
// Threads: every call may come from any thread and returns at once. A sink is called by one thread at a time, in order, from
// the backend's threads; it must not block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cluster/request_core.h"
#include "runtime/messages/node_stats.h"

namespace baton::gateway {

class RequestSink {
 public:
  virtual ~RequestSink() = default;
  virtual void on_token(const EmitToken& token) = 0;
  virtual void on_prompt_scores(const EmitPromptScores& scores) = 0;
  virtual void on_outcome(const RequestOutcome& outcome) = 0;     // exactly once, last
};

struct NodeView {
  Hello hello;
  std::string state;           // "ready", "starting", "down", "draining", "refused"
  NodeStats stats;             // the newest known
};
struct ClusterView {
  std::vector<NodeView> nodes; // every node of the cluster file, in its order; those never seen have only a name and a role
  std::uint32_t requests_running = 0;    // of this gateway
  std::uint32_t requests_waiting = 0;    // not yet assigned, or assigned and without a first token
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual InstanceRef self() const = 0;                    // of this gateway, for RequestSpec::gateway
  virtual RequestId next_request_id() = 0;                 // a multiple of kChoiceStride, never drawn before in the cluster
  virtual void submit(RequestSpec spec, std::shared_ptr<RequestSink> sink) = 0;
  virtual void cancel(RequestId request) = 0;              // idempotent; the sink still gets its outcome
  // Asks the nodes and answers within 500 ms with what came, else with what was known.
  virtual void cluster(std::function<void(ClusterView)> done) = 0;
  // A scheduler and instances of suitable roles are connected: requests can be served.
  virtual bool ready() const = 0;
};

}  // namespace baton::gateway
