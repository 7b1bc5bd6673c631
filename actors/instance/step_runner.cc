#include "actors/instance/step_runner.h"

#include "runtime/sampling/sampler.h"

namespace baton {
namespace {

class PushOnLayer : public LayerObserver {
 public:
  PushOnLayer(const StartStep& step, std::uint32_t layers, LayerPush& push) : step_(step), layers_(layers), push_(push) {}
  void on_layer_done(std::uint32_t layer) override {
    for (const StepSequence& sequence : step_.sequences) {
      for (const PushPlan& plan : sequence.push) push_.push(plan, layer, layer + 1 == layers_);
    }
  }

 private:
  const StartStep& step_;
  std::uint32_t layers_;
  LayerPush& push_;
};

std::uint32_t rows_of(const StepSequence& sequence) {
  const auto tokens = static_cast<std::uint32_t>(sequence.tokens.size());
  if (sequence.score_prompt) return tokens;
  return sequence.sample_choices.empty() ? 0 : 1;
}

SequenceChunk chunk_of(const StepSequence& sequence) {
  return {.tokens = sequence.tokens,
          .start = sequence.start,
          .blocks = sequence.blocks,
          .logits_from = static_cast<std::uint32_t>(sequence.tokens.size()) - rows_of(sequence)};
}

// Row i of the chunk scores the token after it; the last row's is the next chunk's first, if the prompt goes on.
StepPromptScores prompt_scores(const StepSequence& sequence, const BatchLogits& logits, std::size_t row) {
  StepPromptScores scores{.key = sequence.key, .scores = {}};
  for (std::size_t i = 0; i < sequence.tokens.size(); ++i) {
    const TokenId next = i + 1 < sequence.tokens.size() ? sequence.tokens[i + 1] : sequence.next_prompt_token;
    if (next >= 0) scores.scores.push_back(score(logits.row(row + i), next, sequence.sampling.prompt_logprobs));
  }
  return scores;
}

}  // namespace

std::variant<StepDone, StepFailed> run_step(Device& device, const StartStep& step, const KvSlots* slots, LayerPush* push,
                                            const StepRunnerOptions& options) {
  for (const auto& [from, to] : step.copies) device.copy_block(from, to);
  std::vector<SequenceChunk> batch;
  batch.reserve(step.sequences.size());
  bool pushes = false;
  for (const StepSequence& sequence : step.sequences) {
    batch.push_back(chunk_of(sequence));
    pushes |= !sequence.push.empty();
  }
  std::optional<PushOnLayer> observer;
  if (pushes && push != nullptr) observer.emplace(step, device.layout().layers, *push);
  StepDone done{.step = step.step};
  if (batch.empty()) return done;
  const auto logits = device.run(batch, observer ? &*observer : nullptr);
  if (!logits) return StepFailed{step.step, logits.error()};

  std::size_t row = 0;
  for (const StepSequence& sequence : step.sequences) {
    const std::uint32_t rows = rows_of(sequence);
    if (sequence.score_prompt) done.prompt_scores.push_back(prompt_scores(sequence, *logits, row));
    const auto length = static_cast<std::uint32_t>(sequence.tokens.size());
    for (const std::uint32_t choice : sequence.sample_choices) {
      const SamplingPosition position{.tokens = sequence.history,
                                      .prompt_tokens = sequence.prompt_tokens,
                                      .position = sequence.start + length,
                                      .choice = choice,
                                      .eos = options.eos_tokens};
      done.samples.push_back({sequence.key, choice, sample(logits->row(row + rows - 1), sequence.sampling, position)});
    }
    row += rows;
    if (slots != nullptr && !sequence.seal.empty()) {
      KvRun run{{sequence.blocks.begin(), sequence.blocks.begin() + static_cast<std::ptrdiff_t>(sequence.seal.size())},
                sequence.seal,
                sequence.start + length};
      done.roots.push_back({sequence.key, slots->root(run)});
    }
  }
  return done;
}

}  // namespace baton
