// The cluster-level scheduler of SplitwiseSim: at a request's arrival it names the machines of its prompt and of its tokens.
//
//   round_robin, jsq, token_jsq     one machine for both: the next, the one with fewest unfinished requests, with fewest pending tokens
//   kv_round_robin, kv_jsq          the same two rules for prompt and token machines, each by itself
//   mixed_pool                      by load, with machines moving between a prompt, a token and a mixed pool
//
// Of equals the first in list order wins; a machine that comes back from the mixed pool goes to the end of its list.
// Source: SplitwiseSim's module scheduler. Holds pointers to the machines, which must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/sim/compat/splitwise_machine.h"

namespace baton::sim::splitwise {

class Scheduler {
 public:
  Scheduler(Policy policy, const std::vector<Machine*>& machines);

  struct Placement {
    Machine* prompt;
    Machine* token;                        // the same: nothing is transferred
  };
  // `prompt_bytes` and `token_bytes`: KV of the two tasks. Books what the policy counts.
  Placement place(std::int64_t prompt_tokens, std::int64_t prompt_bytes, std::int64_t token_bytes);

  // A machine has nothing to run and nothing to wait for: out of the mixed pool, it goes home.
  void on_idle(Machine& machine);

 private:
  using Pool = std::vector<Machine*>;
  Placement place_in_pools(std::int64_t prompt_tokens, std::int64_t bytes);
  Machine* move_to_mixed(Pool& from, Machine* machine);

  const Policy policy_;
  Pool all_;
  Pool prompts_;
  Pool tokens_;
  Pool mixed_;
  std::size_t next_prompt_ = 0;
  std::size_t next_token_ = 0;
};

}  // namespace baton::sim::splitwise
