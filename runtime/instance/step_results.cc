// The outcome of a step: tokens to their gateways, finished choices, prefills that are handed off or go on here.
#include <algorithm>
#include <map>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/instance/finish_rule.h"
#include "runtime/instance/instance_state.h"

namespace baton {

// A part whose sequence was cancelled, or cancelled and come again under another age, is skipped: ages are never reused.
void InstanceCore::State::step_done(const StepDone& done, Instant now) {
  if (!step || done.step != step->id) return;
  const StepInFlight flight = *std::exchange(step, std::nullopt);
  source.step_ended();
  speed.step_done(now - flight.started, flight.prompt_tokens, flight.decodes);

  std::map<RequestKey, std::uint64_t> roots;
  for (const StepRoot& root : done.roots) roots[root.key] = root.root;
  std::map<RequestKey, const StepPromptScores*> scores;
  for (const StepPromptScores& entry : done.prompt_scores) scores[entry.key] = &entry;

  std::size_t next_sample = 0;
  for (const StepPart& part : flight.parts) {
    CHECK(next_sample + part.choices.size() <= done.samples.size(), "the device made {} samples, too few", done.samples.size());
    std::vector<const StepSample*> samples;
    for (std::size_t i = 0; i < part.choices.size(); ++i) samples.push_back(&done.samples[next_sample++]);

    Sequence* sequence = sequences.find_running(part.sequence);
    if (sequence == nullptr) continue;
    count_computed(*sequence, part);
    sequence->stored = part.start + part.count;
    sequences.publish_full_blocks(*sequence);
    if (sequence->prefill) {
      if (const auto found = scores.find(part.key); found != scores.end() && sequence->prefill->score_prompt) {
        auto& all = sequence->prefill->scores;
        all.insert(all.end(), found->second->scores.begin(), found->second->scores.end());
      }
      if (sequence->pending() == 0) prefill_done(part.sequence, samples, roots[part.key], now);
    } else if (sequence->pending() == 0) {
      token_made(*sequence, *samples.front());
    }
  }
  for (std::size_t i = flight.pins.size(); i-- > 0;) context.pool.release(flight.pins[i]);
  context.out.flush_tokens();
}

void InstanceCore::State::count_computed(const Sequence& sequence, const StepPart& part) {
  const std::uint32_t end = part.start + part.count;
  const std::uint32_t again = std::clamp(sequence.computed_before, part.start, end);
  const std::uint32_t prompt = std::clamp(sequence.prompt_tokens, again, end);
  context.stats.recomputed_tokens += again - part.start;
  context.stats.prompt_tokens_computed += prompt - again;
  // Output tokens in a prefill were delivered by an instance that is gone.
  if (sequence.prefill) context.stats.recomputed_tokens += end - prompt;
}

FinishReason InstanceCore::State::emit(const Sequence& sequence, std::uint32_t choice, const ScoredToken& token,
                                       std::uint32_t cached_tokens) {
  const auto position = static_cast<std::uint32_t>(sequence.tokens.size());
  const FinishReason finish = finish_of(token.chosen.token, position, sequence.prompt_tokens, sequence.sampling,
                                        context.options.eos_tokens, context.options.max_model_len);
  ++context.stats.generated_tokens;
  context.out.token(sequence.gateway,
                    TokenOut{sequence.key, choice, position - sequence.prompt_tokens, token, finish, cached_tokens});
  return finish;
}

void InstanceCore::State::prefill_done(SequenceId id, const std::vector<const StepSample*>& samples, std::uint64_t root,
                                       Instant now) {
  Sequence sequence = sequences.take(id);
  PrefillPart& prefill = *sequence.prefill;
  const bool no_output = sequence.sampling.max_tokens == 0;
  if (prefill.score_prompt || no_output) {
    context.out.send(sequence.gateway, PromptScores{sequence.key, context.options.self, std::move(prefill.scores), no_output});
  }
  std::vector<ChoiceStart> going_on;
  for (const StepSample* sample : samples) {
    if (std::ranges::find(prefill.choices, sample->choice) == prefill.choices.end()) continue;      // cancelled meanwhile
    if (emit(sequence, sample->choice, sample->token, prefill.cached_tokens) == FinishReason::none) {
      going_on.push_back({sample->choice, sample->token.chosen.token});
    }
  }
  if (going_on.empty()) {
    sequence.table.release(context.pool);
    end(sequence.key.request);                       // a push grant is given up: its sends are aborted
  } else if (prefill.push_failed) {
    source.withdraw(sequence, *prefill.grant);
    sequence.table.release(context.pool);
    end(sequence.key.request);
  } else if (prefill.mode == HandOffMode::local) {
    start_local(std::move(sequence), std::move(going_on));
  } else {
    book.find(sequence.key)->stage = Stage::holding;
    source.hold(std::move(sequence), root, now);
  }
}

void InstanceCore::State::token_made(Sequence& sequence, const StepSample& sample) {
  const FinishReason finish = emit(sequence, sequence.id.choice, sample.token, 0);
  if (finish == FinishReason::none) {
    sequence.tokens.push_back(sample.token.chosen.token);
    return;
  }
  const RequestId request = sequence.key.request;
  sequences.remove(sequence.id);
  end_if_done(request);
}

// The device's state is unknown: whoever was in the step goes elsewhere.
void InstanceCore::State::step_failed(const StepFailed& failed) {
  if (!step || failed.step != step->id) return;
  const StepInFlight flight = *std::exchange(step, std::nullopt);
  source.step_ended();
  for (const StepPart& part : flight.parts) {
    if (sequences.find_running(part.sequence) != nullptr) fail(part.key.request, failed.error, context.options.self);
  }
  for (std::size_t i = flight.pins.size(); i-- > 0;) context.pool.release(flight.pins[i]);
}

}  // namespace baton
