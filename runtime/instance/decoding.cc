// Requests that join the batch: after a prefill here, or with KV that arrived.
#include <utility>

#include "runtime/base/check.h"
#include "runtime/instance/instance_state.h"

namespace baton {

// `base` holds the KV of all its tokens. Each choice goes on from there with its own first token; full blocks are shared, a
// partial one is copied with the next step. A choice for which there is no block recomputes instead.
void InstanceCore::State::split(Sequence base, const std::vector<ChoiceStart>& choices) {
  CHECK(!choices.empty() && base.pending() == 0, "only a complete prefix is split");
  for (std::size_t i = choices.size(); i-- > 0;) {         // the first choice last: it takes the table itself
    Sequence sequence;
    sequence.id = {base.id.age, choices[i].choice};
    sequence.key = base.key;
    sequence.gateway = base.gateway;
    sequence.sampling = base.sampling;
    sequence.prompt_tokens = base.prompt_tokens;
    sequence.tokens = base.tokens;
    sequence.tokens.push_back(choices[i].first_token);
    sequence.chain = base.chain;
    sequence.published = base.stored / context.pool.block_tokens();
    sequence.stored = base.stored;
    if (i == 0) {
      sequence.table = std::move(base.table);
    } else if (auto fork = base.table.fork(base.stored, context.pool)) {
      sequence.table = std::move(fork->table);
      if (fork->copy) sequence.copy_from = fork->copy->first;
    } else {
      sequence.computed_before = std::exchange(sequence.stored, 0);
      sequence.published = 0;
      sequences.add_waiting(std::move(sequence));
      continue;
    }
    sequences.add_running(std::move(sequence));
  }
}

void InstanceCore::State::start_local(Sequence prefilled, std::vector<ChoiceStart> choices) {
  prefilled.prefill.reset();
  split(std::move(prefilled), choices);
}

void InstanceCore::State::arrived(std::optional<Arrival> arrival) {
  if (arrival) start_arrived(std::move(*arrival));
}

// What did not arrive is recomputed: in place where blocks were granted (the grant is dropped, so nothing else is written
// there), by the first choice; the others start from what the prefix index has. Whole blocks that arrived enter the index at
// once.
void InstanceCore::State::start_arrived(Arrival arrival) {
  DecodeRequest& request = arrival.request;
  Attempt& attempt = *book.find(request.key);
  attempt.stage = Stage::computing;
  attempt.gateway = request.gateway;

  Sequence base;
  base.id.age = attempt.age;
  base.key = request.key;
  base.gateway = request.gateway;
  base.sampling = std::move(request.sampling);
  base.prompt_tokens = request.prompt_tokens;
  base.tokens = std::move(request.tokens);
  base.stored = arrival.stored;
  base.table = std::move(arrival.table);
  sequences.publish_full_blocks(base);
  if (base.pending() == 0) return split(std::move(base), request.choices);

  for (std::size_t i = 1; i < request.choices.size(); ++i) {
    Sequence other;
    other.id = {attempt.age, request.choices[i].choice};
    other.key = base.key;
    other.gateway = base.gateway;
    other.sampling = base.sampling;
    other.prompt_tokens = base.prompt_tokens;
    other.tokens = base.tokens;
    other.tokens.push_back(request.choices[i].first_token);
    other.computed_before = static_cast<std::uint32_t>(base.tokens.size());
    sequences.add_waiting(std::move(other));
  }
  base.id.choice = request.choices.front().choice;
  base.computed_before = static_cast<std::uint32_t>(base.tokens.size());
  base.tokens.push_back(request.choices.front().first_token);
  if (base.table.empty()) {
    sequences.add_waiting(std::move(base));
  } else {
    sequences.add_running(std::move(base));
  }
}

}  // namespace baton
