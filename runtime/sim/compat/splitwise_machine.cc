#include "runtime/sim/compat/splitwise_machine.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/sim/compat/splitwise_limits.h"

namespace baton::sim::splitwise {

Machine::Machine(std::uint32_t number, const Cluster& cluster, World& world)
    : reserved_memory(cluster.model.weight_bytes),
      number_(number),
      spec_(cluster.machines[number]),
      times_(cluster.model.times.at(spec_.gpu.name)),
      orca_(cluster.batching == Batching::orca),
      world_(world),
      memory_(cluster.model.weight_bytes) {}

void Machine::arrive(TaskIndex index) {
  const Task& task = world_.tasks[index];
  RequestState& request = world_.requests[request_of(index)];
  if (request.tasks_here++ == 0) {
    const auto place = std::upper_bound(requests_.begin(), requests_.end(), request.arrival,
                                        [&](double arrival, RequestIndex other) { return arrival < world_.requests[other].arrival; });
    requests_.insert(place, request_of(index));
  }
  insert_pending(index);
  if (batch_.empty()) {
    if (fits(task.memory)) start_iteration();
    return;
  }
  if (orca_) {
    if (batch_.size() < kMaxBatch) pause();
    return;
  }
  if (batch_.size() < kMaxBatch && batch_tokens_ + task.tokens <= kMaxBatchTokens) {
    pause();
  } else if (is_prompt(index) && prompts_in_batch_ < batch_.size()) {
    const auto decodes = static_cast<std::int64_t>(batch_.size() - prompts_in_batch_);
    if (batch_tokens_ - decodes + task.tokens <= kMaxBatchTokens) pause();
  }
}

void Machine::on_transfer_left() {
  if (pending_.empty()) return;
  if (batch_.empty()) {
    if (fits(world_.tasks[pending_.front()].memory)) start_iteration();
  } else if (batch_.size() < kMaxBatch && batch_tokens_ < kMaxBatchTokens) {
    pause();
  }
}

// The source's bisection, right of equals, whatever the ageing has done to the order of those already there.
void Machine::insert_pending(TaskIndex index) {
  const auto key = [&](TaskIndex task) { return std::pair{world_.tasks[task].passed_over, world_.requests[request_of(task)].arrival}; };
  std::size_t place = pending_.size();
  if (!orca_) {
    const auto its = key(index);
    std::size_t low = 0;
    while (low < place) {
      const std::size_t middle = (low + place) / 2;
      if (its < key(pending_[middle])) {
        place = middle;
      } else {
        low = middle + 1;
      }
    }
  }
  pending_.insert(pending_.begin() + static_cast<std::ptrdiff_t>(place), index);
  if (is_prompt(index)) pending_prompts_.push_back(index);
}

void Machine::remove_pending(TaskIndex index) {
  const auto remove_from = [index](std::vector<TaskIndex>& list) { list.erase(std::find(list.begin(), list.end(), index)); };
  remove_from(pending_);
  if (is_prompt(index)) remove_from(pending_prompts_);
  if (world_.tasks[index].state == TaskState::preempted) remove_from(blocked_);
}

// Cuts a run of decodes at its next boundary. The run's start is found back from its end, with the rounding that this brings.
void Machine::pause() {
  if (pausing_ || prompts_in_batch_ > 0) return;
  pausing_ = true;
  const double started = run_end_ - iteration_s_ * iterations_;
  const double elapsed = world_.now - started;
  iterations_ = floor_divide(elapsed, iteration_s_) + 1;
  const double remaining = iteration_s_ * iterations_ - elapsed;
  run_end_ = world_.now + remaining;
  --world_.pending_work;                   // the cancelled end stays in the heap
  world_.schedule(remaining, EventKind::iteration_end, number_, ++serial_);
}

std::span<const TaskIndex> Machine::end_iteration() {
  completed_.clear();
  for (const TaskIndex index : batch_) {
    Task& task = world_.tasks[index];
    task.done += iterations_;
    if (task.done == task.iterations) completed_.push_back(index);
  }
  for (const TaskIndex index : completed_) complete(index);
  std::erase_if(batch_, [&](TaskIndex task) { return !world_.tasks[task].in_batch; });
  pausing_ = false;
  return completed_;
}

void Machine::complete(TaskIndex index) {
  Task& task = world_.tasks[index];
  RequestState& request = world_.requests[request_of(index)];
  task.state = TaskState::complete;
  task.in_batch = false;
  pending_tokens -= task.tokens;
  if (is_prompt(index)) {
    --prompts_in_batch_;
    request.prompt_end = world_.now;
  } else {
    request.end = world_.now;
    release(request.memory);
    request.memory = 0;
  }
  if (--request.tasks_here == 0) requests_.erase(std::find(requests_.begin(), requests_.end(), request_of(index)));
}

bool Machine::start_iteration() {
  if (orca_) {
    choose_orca();
  } else {
    choose();
  }
  preempt_unchosen();
  admit_chosen();
  age();
  if (batch_.empty()) return requests_.empty();
  iteration_s_ = iteration_seconds();
  CHECK(iteration_s_ > 0, "an iteration of {} tasks takes {} s", batch_.size(), iteration_s_);
  iterations_ = 1;
  if (prompts_in_batch_ == 0) {
    const auto left = [&](TaskIndex task) { return world_.tasks[task].iterations - world_.tasks[task].done; };
    iterations_ = left(batch_.front());
    for (const TaskIndex task : batch_) iterations_ = std::min(iterations_, left(task));
  }
  for (const TaskIndex index : batch_) {
    Task& task = world_.tasks[index];
    if (task.state == TaskState::waiting) {
      take(task.memory);
      world_.requests[request_of(index)].memory += task.memory;
    }
    task.state = TaskState::running;
  }
  run_end_ = world_.now + iteration_s_ * iterations_;
  world_.schedule(iteration_s_ * iterations_, EventKind::iteration_end, number_, ++serial_);
  return false;
}

double Machine::iteration_seconds() const {
  std::int64_t tokens = 0;
  for (const TaskIndex task : batch_) tokens += world_.tasks[task].tokens;
  const auto decodes = static_cast<std::int64_t>(batch_.size() - prompts_in_batch_);       // of one token each
  return times_.iteration_seconds(tokens - decodes, decodes);
}

}  // namespace baton::sim::splitwise
