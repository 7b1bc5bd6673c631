#include <algorithm>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/instance/instance_state.h"

namespace baton {

namespace {

std::uint32_t distinct_leased(const InstanceCore::State& state) {
  std::vector<bool> leased(state.context.pool.total());
  std::uint32_t blocks = 0;
  const auto count_once = [&](BlockId block) {
    blocks += leased[block.value] ? 0 : 1;
    leased[block.value] = true;
  };
  state.source.visit_references(count_once);
  state.sink.visit_references(count_once);
  return blocks;
}

}  // namespace

std::uint32_t InstanceCore::State::half_full(const InstanceOptions& options) {
  const std::uint32_t budget = options.prefill_token_budget;
  return std::max((options.chunk_tokens == 0 ? budget : std::min(options.chunk_tokens, budget)) / 2, 1u);
}

LoadReport InstanceCore::State::load() const {
  LoadReport load;
  load.self = context.options.self;
  load.sequence = reporter.sequence();
  load.waiting = static_cast<std::uint32_t>(sequences.waiting().size()) + sink.queued();
  load.running = static_cast<std::uint32_t>(sequences.running().size());
  load.queue_capacity = context.options.max_waiting;
  load.pending_prefill_tokens = sequences.pending_prefill_tokens(false);
  load.context_tokens = sequences.context_tokens() + sink.tokens();
  load.blocks_total = context.pool.total();
  load.blocks_used = context.pool.used();
  load.blocks_leased = context.options.prefix_cache ? distinct_leased(*this) : source.blocks() + sink.blocks();
  load.prefill_tokens_per_s = speed.prefill_tokens_per_s();
  // What was measured under a load that is gone would keep others away.
  load.decode_step_us = sequences.running().empty() ? 0 : speed.decode_step_us();
  load.draining = draining;
  load.unreachable = partners.unreachable();
  return load;
}

void InstanceCore::State::check_invariants() const {
  const BlockPool& pool = context.pool;
  pool.check_invariants();
  sequences.check_invariants();
  source.check_invariants();
  sink.check_invariants();

  CHECK(context.options.prefix_cache || source.blocks() + sink.blocks() == distinct_leased(*this),
        "without a prefix cache two hand-offs share a block");

  // Every reference in the pool has a holder, and a block that somebody may still write to has one table.
  std::vector<std::uint32_t> references(pool.total()), tables(pool.total());
  const auto hold = [&](BlockId block) { ++references[block.value]; };
  for (const auto& [id, sequence] : sequences.running()) {
    for (const BlockId block : sequence.table.blocks()) hold(block), ++tables[block.value];
    if (sequence.copy_from) hold(*sequence.copy_from);
  }
  source.visit_references(hold);
  sink.visit_references(hold);
  if (step) std::ranges::for_each(step->pins, hold);
  for (std::uint32_t block = 0; block < pool.total(); ++block) {
    CHECK(references[block] == pool.references(BlockId{block}), "block {} has {} references and {} holders", block,
          pool.references(BlockId{block}), references[block]);
  }
  for (const auto& [id, sequence] : sequences.running()) {
    for (std::uint32_t i = sequence.stored / pool.block_tokens(); i < sequence.table.size(); ++i) {
      CHECK(tables[sequence.table.blocks()[i].value] == 1, "sequence {}.{} writes to a shared block", id.age, id.choice);
    }
  }

  CHECK(sequences.waiting_prefills() <= context.options.max_waiting + context.options.max_running,
        "the queue outgrew its capacity");
  for (const auto& [request, attempt] : book.live()) {
    const bool computing = sequences.any_of_age(attempt.age);
    CHECK(computing == (attempt.stage == Stage::computing), "request {} computes in another stage, or nothing of it is left",
          request.value);
    CHECK(source.holds(request) == (attempt.stage == Stage::holding), "request {} is held in another stage", request.value);
    CHECK(sink.holds(request) == (attempt.stage == Stage::inbound), "request {} is inbound in another stage", request.value);
    CHECK(attempt.stage != Stage::computing || context.deadlines.waits(Wait::request, request), "request {} has no deadline",
          request.value);
  }
  for (const auto* set : {&sequences.running(), &sequences.waiting()}) {
    for (const auto& [id, sequence] : *set) {
      const auto found = book.live().find(sequence.key.request);
      CHECK(found != book.live().end() && found->second.age == id.age && found->second.epoch == sequence.key.epoch,
            "sequence {}.{} belongs to no live attempt", id.age, id.choice);
    }
  }
}

}  // namespace baton
