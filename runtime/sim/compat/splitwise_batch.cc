// How a machine forms its next batch: the choosing half of Machine.
#include <algorithm>

#include "runtime/sim/compat/splitwise_limits.h"
#include "runtime/sim/compat/splitwise_machine.h"

namespace baton::sim::splitwise {

bool Machine::is_chosen(TaskIndex task) const {
  const RequestState& request = world_.requests[request_of(task)];
  return request.chosen_in == world_.selections && request.chosen == task;
}

void Machine::take_chosen(TaskIndex task) {
  RequestState& request = world_.requests[request_of(task)];
  request.chosen_in = world_.selections;
  request.chosen = task;
  chosen_.push_back(task);
  chosen_tokens_ += world_.tasks[task].tokens;
}

// Takes the task unless its KV, which it does not have yet, finds no room.
bool Machine::add_if_room(TaskIndex index) {
  const Task& task = world_.tasks[index];
  if (task.state == TaskState::waiting) {
    if (!fits(chosen_memory_ + task.memory)) return false;
    chosen_memory_ += task.memory;
  }
  take_chosen(index);
  return true;
}

void Machine::choose_orca() {
  ++world_.selections;
  chosen_ = batch_;
  for (const TaskIndex task : batch_) {
    world_.requests[request_of(task)].chosen_in = world_.selections;
    world_.requests[request_of(task)].chosen = task;
  }
  chosen_tokens_ = 0;
  chosen_memory_ = 0;
  for (const RequestIndex request : requests_) {
    if (chosen_.size() == kMaxBatch) return;
    const TaskIndex task = world_.head(request);
    if (!world_.tasks[task].in_batch && !add_if_room(task)) return;
  }
}

void Machine::choose() {
  ++world_.selections;
  chosen_.clear();
  chosen_tokens_ = 0;
  chosen_memory_ = 0;
  // The first task may exceed the tokens of a batch, and then runs alone.
  const auto full = [&] { return chosen_.size() == kMaxBatch; };
  const auto too_many = [&](TaskIndex task) { return !chosen_.empty() && chosen_tokens_ + world_.tasks[task].tokens > kMaxBatchTokens; };
  const auto has_chosen = [&](RequestIndex request) { return world_.requests[request].chosen_in == world_.selections; };

  for (const TaskIndex task : pending_) {                       // 1: starved; a task without room is skipped
    if (world_.tasks[task].passed_over < kStarved || full() || too_many(task)) break;
    if (!has_chosen(request_of(task))) add_if_room(task);
  }
  for (const TaskIndex task : pending_prompts_) {               // 2: prompts; here one without room ends the step
    if (full() || too_many(task)) break;
    if (!has_chosen(request_of(task)) && !add_if_room(task)) break;
  }
  for (const TaskIndex task : blocked_) {                       // 3: preempted decodes
    if (full() || too_many(task)) break;
    if (!has_chosen(request_of(task))) take_chosen(task);
  }
  for (const TaskIndex task : batch_) {                         // 4: running decodes
    if (full() || too_many(task)) break;
    if (!has_chosen(request_of(task))) take_chosen(task);
  }
  for (const RequestIndex request : requests_) {                // 5: the rest
    if (full()) break;
    if (has_chosen(request)) continue;
    const TaskIndex task = world_.head(request);
    if (too_many(task) || !add_if_room(task)) break;
  }
  batch_tokens_ = chosen_tokens_;
}

void Machine::preempt_unchosen() {
  for (const TaskIndex task : batch_) {
    if (is_chosen(task)) continue;
    world_.tasks[task].state = TaskState::preempted;
    world_.tasks[task].in_batch = false;
    insert_pending(task);
    blocked_.push_back(task);
  }
  std::erase_if(batch_, [&](TaskIndex task) { return !world_.tasks[task].in_batch; });
}

void Machine::admit_chosen() {
  for (const TaskIndex index : chosen_) {
    Task& task = world_.tasks[index];
    if (task.in_batch) continue;
    remove_pending(index);
    task.in_batch = true;
    batch_.push_back(index);
    if (is_prompt(index)) ++prompts_in_batch_;
  }
}

// Each request here counts a batch formed without it, waiting prompts and preempted decodes alike.
void Machine::age() {
  for (const RequestIndex request : requests_) {
    Task& task = world_.tasks[world_.head(request)];
    if (!task.in_batch) ++task.passed_over;
  }
}

}  // namespace baton::sim::splitwise
