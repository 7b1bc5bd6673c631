#include "runtime/sim/compat/splitwise_scheduler.h"

#include <algorithm>
#include <initializer_list>

#include "runtime/base/check.h"
#include "runtime/sim/compat/splitwise_limits.h"

namespace baton::sim::splitwise {
namespace {

using Pool = std::vector<Machine*>;

std::int64_t pending_tokens(const Machine* machine) { return machine->pending_tokens; }
std::int64_t reserved_memory(const Machine* machine) { return machine->reserved_memory; }
std::size_t unfinished(const Machine* machine) { return machine->unfinished_requests(); }

// The first of the least; none of an empty pool.
template <class Key>
Machine* least(const Pool& pool, Key key) {
  const auto found = std::min_element(pool.begin(), pool.end(), [&](const Machine* a, const Machine* b) { return key(a) < key(b); });
  return found == pool.end() ? nullptr : *found;
}

Machine* next_of(const Pool& pool, std::size_t& next) {
  Machine* const machine = pool[next];
  next = (next + 1) % pool.size();
  return machine;
}

// The least loaded of the first pool whose least loaded has no long queue.
Machine* prompt_candidate(std::initializer_list<const Pool*> pools, std::int64_t prompt_tokens) {
  for (const Pool* pool : pools) {
    Machine* const machine = least(*pool, pending_tokens);
    if (machine && !(machine->has_pending_tasks() && machine->pending_tokens + prompt_tokens > kMaxPendingTokens)) return machine;
  }
  return nullptr;
}

Machine* token_candidate(std::initializer_list<const Pool*> pools, std::int64_t bytes) {
  for (const Pool* pool : pools) {
    Machine* const machine = least(*pool, reserved_memory);
    if (machine && machine->reserved_memory + bytes < machine->max_memory()) return machine;
  }
  return nullptr;
}

}  // namespace

Scheduler::Scheduler(Policy policy, const std::vector<Machine*>& machines) : policy_(policy), all_(machines) {
  for (Machine* const machine : machines) {
    if (machine->tag() == Tag::prompt) prompts_.push_back(machine);
    if (machine->tag() == Tag::token) tokens_.push_back(machine);
  }
}

Scheduler::Placement Scheduler::place(std::int64_t prompt_tokens, std::int64_t prompt_bytes, std::int64_t token_bytes) {
  switch (policy_) {
    case Policy::round_robin: {
      Machine* const machine = next_of(all_, next_prompt_);
      return {machine, machine};
    }
    case Policy::jsq: {
      Machine* const machine = least(all_, unfinished);
      return {machine, machine};
    }
    case Policy::token_jsq: {
      Machine* const machine = least(all_, pending_tokens);
      machine->pending_tokens += prompt_tokens + 1;
      return {machine, machine};
    }
    case Policy::kv_round_robin: return {next_of(prompts_, next_prompt_), next_of(tokens_, next_token_)};
    case Policy::kv_jsq: return {least(prompts_, unfinished), least(tokens_, unfinished)};
    case Policy::mixed_pool: break;
  }
  const Placement placement = place_in_pools(prompt_tokens, prompt_bytes + token_bytes);
  if (placement.prompt != placement.token) placement.prompt->reserved_memory += prompt_bytes;
  placement.token->reserved_memory += prompt_bytes + token_bytes;
  placement.prompt->pending_tokens += prompt_tokens;
  placement.token->pending_tokens += 1;
  return placement;
}

// Both candidates are looked for before either pool is drawn on; a machine that is drawn is not asked whether it has room. When one
// side has nobody to draw, the request runs whole on the machine with fewest pending tokens.
Scheduler::Placement Scheduler::place_in_pools(std::int64_t prompt_tokens, std::int64_t bytes) {
  Machine* prompt = prompt_candidate({&prompts_, &mixed_}, prompt_tokens);
  Machine* token = token_candidate({&tokens_, &mixed_}, bytes);
  if (!prompt && !tokens_.empty()) prompt = move_to_mixed(tokens_, least(tokens_, pending_tokens));
  if (!token && !prompts_.empty()) token = move_to_mixed(prompts_, least(prompts_, reserved_memory));
  if (prompt && token) return {prompt, token};
  Pool everyone = prompts_;
  everyone.insert(everyone.end(), mixed_.begin(), mixed_.end());
  everyone.insert(everyone.end(), tokens_.begin(), tokens_.end());
  Machine* const machine = least(everyone, pending_tokens);
  CHECK(machine, "a cluster without machines");
  return {machine, machine};
}

Machine* Scheduler::move_to_mixed(Pool& from, Machine* machine) {
  from.erase(std::find(from.begin(), from.end(), machine));
  mixed_.push_back(machine);
  machine->mixed = true;
  return machine;
}

void Scheduler::on_idle(Machine& machine) {
  if (!machine.mixed) return;
  machine.mixed = false;
  mixed_.erase(std::find(mixed_.begin(), mixed_.end(), &machine));
  (machine.tag() == Tag::prompt ? prompts_ : tokens_).push_back(&machine);
}

}  // namespace baton::sim::splitwise
