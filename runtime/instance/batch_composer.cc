#include "runtime/instance/batch_composer.h"

#include <algorithm>
#include <utility>

#include "runtime/kv/prefix_identity.h"

namespace baton {

std::optional<StepInFlight> BatchComposer::compose(Instant now) {
  sequences_.grow_running();
  const std::vector<Picked> picked = pick(now);
  if (picked.empty()) return std::nullopt;

  StepInFlight flight;
  StartStep step;
  flight.id = step.step = last_ = StepId{last_.value + 1};
  flight.started = now;
  flight.parts.reserve(picked.size());
  step.sequences.reserve(picked.size());
  for (const auto& [sequence, count] : picked) {
    const bool decodes = count == 1 && !sequence->prefill;
    (decodes ? flight.decodes : flight.prompt_tokens) += count;
    step.sequences.push_back(describe(*sequence, count));
    const StepSequence& part = step.sequences.back();
    flight.parts.push_back({sequence->id, sequence->key, sequence->stored, count, part.sample_choices});
    pin(*sequence, static_cast<std::uint32_t>(part.blocks.size()), step, flight);
  }
  source_.step_started(step);
  context_.out.add(std::move(step));
  return flight;
}

std::vector<BatchComposer::Picked> BatchComposer::pick(Instant now) {
  const InstanceOptions& options = context_.options;
  std::vector<Picked> picked;
  std::uint32_t room = options.max_step_tokens;
  for (const auto& [id, unused] : sequences_.running()) {
    if (room == 0 || picked.size() >= options.max_running) return picked;
    Sequence* sequence = sequences_.find_running(id);
    if (sequence->pending() != 1 || !sequences_.complete(*sequence)) continue;
    picked.push_back({sequence, 1});
    --room;
  }
  const std::uint32_t budget = std::min(room, options.prefill_token_budget);
  std::uint32_t left = budget;
  for (Sequence* sequence : sequences_.running_prompts(now)) {
    if (left == 0 || picked.size() >= options.max_running) break;
    if (!sequences_.complete(*sequence)) continue;
    const std::uint32_t whole = sequence->pending();
    if (options.chunk_tokens == 0 && whole > left && left < budget) break;      // it waits for a step of its own
    const std::uint32_t count = std::min({whole, left, options.chunk_tokens == 0 ? whole : options.chunk_tokens});
    picked.push_back({sequence, count});
    left -= count;
  }
  return picked;
}

StepSequence BatchComposer::describe(Sequence& sequence, std::uint32_t count) {
  StepSequence part;
  const std::uint32_t end = sequence.stored + count;
  const bool last = end == sequence.tokens.size();
  part.key = sequence.key;
  part.start = sequence.stored;
  part.tokens.assign(sequence.tokens.begin() + part.start, sequence.tokens.begin() + end);
  const auto& blocks = sequence.table.blocks();
  part.blocks.assign(blocks.begin(), blocks.begin() + context_.pool.blocks_for(end));
  part.prompt_tokens = sequence.prompt_tokens;
  part.sampling = sequence.sampling;
  if (sequence.prefill) {
    PrefillPart& prefill = *sequence.prefill;
    const bool no_output = sequence.sampling.max_tokens == 0;
    if (last && !no_output) part.sample_choices = prefill.choices;
    part.score_prompt = prefill.score_prompt;
    if (prefill.score_prompt && end < sequence.prompt_tokens) part.next_prompt_token = sequence.tokens[end];
    if (last && prefill.mode != HandOffMode::local && context_.options.verify_kv && !no_output) {
      part.seal = block_identities(sequence.tokens, context_.pool.block_tokens());
    }
    plan_push(sequence, count, part);
  } else if (last) {
    part.sample_choices = {sequence.id.choice};
  }
  if (!part.sample_choices.empty() && sequence.sampling.needs_history()) part.history = sequence.tokens;
  return part;
}

// Every block that is complete after this step and was not planned yet: cached ones with the first step, a partial one with
// the last.
void BatchComposer::plan_push(Sequence& sequence, std::uint32_t count, StepSequence& part) {
  PrefillPart& prefill = *sequence.prefill;
  if (!prefill.grant) return;
  if (!prefill.push_open) {
    source_.open_push(sequence);
    prefill.push_open = true;
  }
  const std::uint32_t end = sequence.stored + count;
  const bool last = end == sequence.tokens.size();
  const std::uint32_t complete = last ? context_.pool.blocks_for(end) : end / context_.pool.block_tokens();
  if (complete == prefill.pushed_blocks) return;
  part.push.push_back({*prefill.grant, prefill.decode, prefill.pushed_blocks, complete, last});
  prefill.pushed_blocks = complete;
}

void BatchComposer::pin(Sequence& sequence, std::uint32_t blocks, StartStep& step, StepInFlight& flight) {
  const auto& table = sequence.table.blocks();
  for (std::uint32_t i = 0; i < blocks; ++i) context_.pool.share(table[i]);
  flight.pins.insert(flight.pins.end(), table.begin(), table.begin() + blocks);
  if (!sequence.copy_from) return;
  const BlockId from = *std::exchange(sequence.copy_from, std::nullopt);       // its reference passes to the step
  flight.pins.push_back(from);
  step.copies.emplace_back(from, sequence.table.blocks()[sequence.stored / context_.pool.block_tokens()]);
}

}  // namespace baton
