// One machine of SplitwiseSim: its queues, its running batch and its KV memory.
//
//     arrive ──► pending ──choose──► batch ──end_iteration──► complete
//                   ▲                  │
//                   └──── preempt ─────┘     (also in blocked; keeps its KV)
//
// A batch with a prompt runs one iteration; one of decodes only runs, as a single event, as many as its shortest needs. A task that
// arrives meanwhile may cut such a run at the next boundary (pause). Between iterations the batch is formed anew: with
// Batching::orca by adding waiting requests in order of arrival, with Batching::splitwise by the five steps of choose(): starved
// tasks, prompts, preempted decodes, running decodes, the rest, within 512 tasks and 2048 tokens.
//
// Where the order of a list decides, it is the source's: pending is searched by bisection though its keys age, the batch keeps its
// survivors' order, lists of requests are by arrival with later insertions after equals.
// Source: SplitwiseSim's module instance. Holds a reference to the World, which must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/sim/compat/splitwise_cluster.h"
#include "runtime/sim/compat/splitwise_state.h"

namespace baton::sim::splitwise {

class Machine {
 public:
  Machine(std::uint32_t number, const Cluster& cluster, World& world);

  void arrive(TaskIndex task);
  // Is the event that came up the end of the current run, or was that cut short since?
  bool expects(std::uint32_t serial) const { return serial == serial_; }
  // The run is over. The tasks that completed in it, in batch order; they have left, and start_iteration() must follow.
  std::span<const TaskIndex> end_iteration();
  // True when there was nothing to run and nothing is on the machine.
  bool start_iteration();
  // A transfer from here has ended: a prompt that waited for memory may fit now.
  void on_transfer_left();

  bool fits(std::int64_t bytes) const { return memory_ + bytes <= spec_.gpu.machine_memory_bytes; }
  void take(std::int64_t bytes) { memory_ += bytes; }
  void release(std::int64_t bytes) {
    memory_ -= bytes;
    reserved_memory -= bytes;
  }

  std::uint32_t number() const { return number_; }
  Tag tag() const { return spec_.tag; }
  std::int64_t max_memory() const { return spec_.gpu.machine_memory_bytes; }
  bool has_pending_tasks() const { return !pending_.empty(); }
  std::size_t unfinished_requests() const { return requests_.size(); }

  // The cluster-level scheduler's account of this machine; completions and releases are booked here, the rest by the scheduler.
  std::int64_t reserved_memory = 0;        // bytes: weights, and the KV of all assigned requests up to their true length
  std::int64_t pending_tokens = 0;         // P of each prompt assigned and not complete, 1 of each decode
  bool mixed = false;

 private:
  void insert_pending(TaskIndex task);
  void remove_pending(TaskIndex task);
  void pause();
  void complete(TaskIndex task);

  void choose();
  void choose_orca();
  bool add_if_room(TaskIndex task);
  void take_chosen(TaskIndex task);
  bool is_chosen(TaskIndex task) const;
  void preempt_unchosen();
  void admit_chosen();
  void age();
  double iteration_seconds() const;

  const std::uint32_t number_;
  const MachineSpec& spec_;
  const StepTimes& times_;
  const bool orca_;
  World& world_;

  std::int64_t memory_ = 0;                // bytes: weights and the KV of tasks that have run here or arrived by transfer
  std::vector<RequestIndex> requests_;     // with a task here that is not complete, by arrival
  std::vector<TaskIndex> pending_;         // not in the batch
  std::vector<TaskIndex> pending_prompts_; // those of them that are prompts, as they arrived
  std::vector<TaskIndex> blocked_;         // those of them that were preempted, as they were

  std::vector<TaskIndex> batch_;
  std::size_t prompts_in_batch_ = 0;
  std::int64_t batch_tokens_ = 0;          // when the batch was formed: P of each prompt, 1 of each decode
  double iteration_s_ = 0;
  double iterations_ = 0;                  // of the current run
  double run_end_ = 0;                     // seconds
  bool pausing_ = false;
  std::uint32_t serial_ = 0;               // of the current run's end event

  std::vector<TaskIndex> chosen_;          // scratch of start_iteration
  std::int64_t chosen_tokens_ = 0;
  std::int64_t chosen_memory_ = 0;
  std::vector<TaskIndex> completed_;       // scratch of end_iteration
};

}  // namespace baton::sim::splitwise
