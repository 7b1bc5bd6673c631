// What one run of SplitwiseSim knows of its requests. A request is two tasks: the prompt (all its tokens in one iteration, which
// makes token 1) and the tokens (the other T - 1, one an iteration). They run on one machine ("chained": both are put there at
// arrival) or on two, with a transfer of the KV between them. Source: SplitwiseSim's modules request, task, node.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/sim/compat/splitwise_events.h"

namespace baton::sim::splitwise {

using RequestIndex = std::uint32_t;        // in the trace
using TaskIndex = std::uint32_t;           // 2 * request for its prompt, + 1 for its tokens

constexpr TaskIndex prompt_of(RequestIndex request) { return 2 * request; }
constexpr TaskIndex tokens_of(RequestIndex request) { return 2 * request + 1; }
constexpr RequestIndex request_of(TaskIndex task) { return task / 2; }
constexpr bool is_prompt(TaskIndex task) { return task % 2 == 0; }

enum class TaskState : std::uint8_t { waiting, running, preempted, complete };

struct Task {
  std::int64_t memory = 0;                 // bytes of KV that it takes when it first runs: of P + 1 tokens, or of T - 1
  std::uint32_t tokens = 0;                // in one iteration: P, or 1
  std::uint32_t passed_over = 0;           // batches formed without it while it was its request's next; never reset
  double iterations = 0;                   // in all: 1, or T - 1
  double done = 0;                         // of them; a count as Python keeps it, since a pause makes it a float
  TaskState state = TaskState::waiting;
  bool in_batch = false;
};

struct RequestState {
  double arrival = 0;
  std::int64_t memory = 0;                 // bytes of KV of its tasks that have run
  std::uint32_t prompt_machine = 0;
  std::uint32_t token_machine = 0;
  std::uint32_t tasks_here = 0;            // on the machine that holds it, not complete
  std::uint64_t chosen_in = 0;             // the batch selection that chose a task of it last ...
  TaskIndex chosen = 0;                    // ... and the task
  bool placed = false;
  double prompt_end = -1;                  // seconds; negative: not yet
  double end = -1;
};

struct World {
  double now = 0;                          // seconds
  EventHeap events;
  std::vector<Task> tasks;
  std::vector<RequestState> requests;
  std::uint64_t selections = 0;            // over all machines
  std::uint64_t pending_work = 0;          // events that are neither cancelled nor retries

  // The task of a request that its machine would run next.
  TaskIndex head(RequestIndex request) const {
    return tasks[prompt_of(request)].state == TaskState::complete ? tokens_of(request) : prompt_of(request);
  }
  void schedule(double delay, EventKind kind, std::uint32_t target, std::uint32_t serial = 0) {
    events.push({now + delay, kind, target, serial});
    if (kind != EventKind::transfer_retry) ++pending_work;
  }
};

}  // namespace baton::sim::splitwise
