#include "runtime/instance/sequence_set.h"

#include <algorithm>
#include <span>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/kv/prefix_identity.h"

namespace baton {

Sequence* SequenceSet::find(SequenceId id) {
  if (Sequence* sequence = find_running(id)) return sequence;
  const auto found = waiting_.find(id);
  return found == waiting_.end() ? nullptr : &found->second;
}

Sequence* SequenceSet::find_running(SequenceId id) {
  const auto found = running_.find(id);
  return found == running_.end() ? nullptr : &found->second;
}

std::vector<SequenceId> SequenceSet::of_age(std::uint64_t age) const {
  std::vector<SequenceId> ids;
  for (const auto* set : {&running_, &waiting_}) {
    for (auto at = set->lower_bound({age, 0}); at != set->end() && at->first.age == age; ++at) ids.push_back(at->first);
  }
  return ids;
}

void SequenceSet::add_waiting(Sequence sequence) {
  CHECK(sequence.table.empty() && !sequence.copy_from, "a waiting sequence holds no block");
  const SequenceId id = sequence.id;
  CHECK(waiting_.emplace(id, std::move(sequence)).second, "sequence {}.{} waits already", id.age, id.choice);
}

void SequenceSet::add_running(Sequence sequence) {
  const SequenceId id = sequence.id;
  CHECK(running_.emplace(id, std::move(sequence)).second, "sequence {}.{} runs already", id.age, id.choice);
}

// Of a fully cached sequence the last block is run again, into a private one: its last token's logits are needed.
std::vector<BlockId> SequenceSet::cached_prefix(Sequence& sequence) const {
  if (!context_.options.prefix_cache) return {};
  if (sequence.prefill && sequence.prefill->score_prompt) return {};       // every position must be run to be scored
  const BlockPool& pool = context_.pool;
  extend_chain(sequence.chain, sequence.tokens, pool.block_tokens());
  const std::size_t reusable = (sequence.tokens.size() - 1) / pool.block_tokens();
  return pool.match(sequence.tokens, std::span{sequence.chain}.first(std::min(reusable, sequence.chain.size())));
}

SequenceSet::Place SequenceSet::place_of(const Sequence& sequence, Instant now) const {
  const bool flows = sequence.tokens.size() > sequence.prompt_tokens;      // a client waits in mid-stream
  if (flows || now - sequence.arrived >= context_.options.queue_ageing) return {.id = sequence.id};
  const std::uint32_t computed = std::max(sequence.stored, sequence.computed_before);
  const std::uint32_t cached = sequence.prefill ? std::min(sequence.prefill->cached_tokens, computed) : 0;
  // Having overtaken, it would hold here what others wait for whose memory is kept where it needs some.
  if (sequence.prefill && sequence.prefill->mode == HandOffMode::push_by_layer && !sequence.prefill->grant) {
    return {true, true, 0, sequence.id};
  }
  return {true, false, context_.order->key({.pending = sequence.pending(), .computed = computed - cached}), sequence.id};
}

std::optional<SequenceId> SequenceSet::first_waiting(Instant now) const {
  if (waiting_.empty()) return std::nullopt;
  if (!context_.order->overtakes()) return waiting_.begin()->first;
  std::optional<Place> first;
  for (const auto& [id, sequence] : waiting_) {
    const Place place = place_of(sequence, now);
    if (!first || place < *first) first = place;
  }
  return first->id;
}

std::vector<Sequence*> SequenceSet::running_prompts(Instant now) {
  std::vector<Sequence*> prompts;
  for (auto& [id, sequence] : running_) {
    if (sequence.pending() > 1) prompts.push_back(&sequence);
  }
  if (context_.order->overtakes()) {
    std::ranges::sort(prompts, {}, [&](const Sequence* sequence) { return place_of(*sequence, now); });
  }
  return prompts;
}

std::uint64_t SequenceSet::pending_tokens_before(SequenceId id, Instant now) const {
  if (!context_.order->overtakes()) return pending_prefill_tokens(true);
  const Place place = place_of(waiting_.at(id), now);
  std::uint64_t tokens = 0;
  for (const auto& [other, sequence] : running_) {
    const bool prompt = sequence.pending() > 1 || sequence.prefill;
    if (prompt && place_of(sequence, now) < place) tokens += sequence.pending();
  }
  return tokens;
}

bool SequenceSet::admit(SequenceId id, bool keep_watermark) {
  Sequence& sequence = waiting_.at(id);
  BlockPool& pool = context_.pool;
  const std::vector<BlockId> cached = cached_prefix(sequence);
  const auto unreferenced = std::ranges::count_if(cached, [&](BlockId block) { return pool.references(block) == 0; });
  const std::uint64_t needed = pool.blocks_for(sequence.tokens.size()) - cached.size() + static_cast<std::uint64_t>(unreferenced);
  if (needed + (keep_watermark ? context_.options.watermark_blocks : 0) > pool.available()) return false;

  sequence.table.adopt(cached, pool);
  CHECK(sequence.table.grow_to(sequence.tokens.size(), pool), "room was counted");
  sequence.stored = static_cast<std::uint32_t>(cached.size()) * pool.block_tokens();
  sequence.published = static_cast<std::uint32_t>(cached.size());
  if (sequence.prefill && sequence.computed_before == 0) {
    InstanceStats& stats = context_.stats;
    if (!sequence.prefill->score_prompt) stats.prefix_queries_tokens += sequence.tokens.size();
    stats.prefix_hits_tokens += sequence.stored;
    sequence.prefill->cached_tokens = std::min(sequence.stored, sequence.prompt_tokens);
    stats.prompt_tokens_cached += sequence.prefill->cached_tokens;
  }
  running_.insert(waiting_.extract(id));
  return true;
}

std::uint32_t SequenceSet::blocks_to_admit(SequenceId id) const {
  return context_.pool.blocks_for(waiting_.at(id).tokens.size());
}

void SequenceSet::free_blocks(Sequence& sequence) {
  sequence.table.release(context_.pool);
  if (sequence.copy_from) context_.pool.release(*std::exchange(sequence.copy_from, std::nullopt));
}

void SequenceSet::remove(SequenceId id) {
  Sequence sequence = take(id);
  free_blocks(sequence);
}

Sequence SequenceSet::take(SequenceId id) {
  auto node = running_.extract(id);
  if (node.empty()) node = waiting_.extract(id);
  CHECK(!node.empty(), "no sequence {}.{}", id.age, id.choice);
  return std::move(node.mapped());
}

void SequenceSet::preempt(SequenceId id) {
  Sequence sequence = take(id);
  ++context_.stats.preemptions;
  sequence.computed_before = std::max(sequence.computed_before, sequence.stored);
  sequence.stored = sequence.published = 0;
  if (sequence.prefill) sequence.prefill->scores.clear();
  free_blocks(sequence);
  add_waiting(std::move(sequence));
}

void SequenceSet::grow_running() {
  for (auto at = running_.begin(); at != running_.end();) {
    const SequenceId id = at->first;
    while (!at->second.table.grow_to(at->second.tokens.size(), context_.pool)) {
      const auto youngest =
          std::find_if(running_.rbegin(), running_.rend(), [](const auto& entry) { return entry.second.preemptable(); });
      const bool oldest = at == running_.begin();
      if (youngest == running_.rend() || youngest->first < id || (youngest->first == id && oldest)) break;
      const SequenceId victim = youngest->first;
      preempt(victim);
      if (victim == id) break;
    }
    at = running_.upper_bound(id);
  }
}

void SequenceSet::publish_full_blocks(Sequence& sequence) {
  if (!context_.options.prefix_cache) return;
  const std::uint32_t full = sequence.stored / context_.pool.block_tokens();
  if (sequence.published >= full) return;
  extend_chain(sequence.chain, sequence.tokens, context_.pool.block_tokens());
  for (; sequence.published < full; ++sequence.published) {
    const std::uint32_t i = sequence.published;
    context_.pool.publish(
        sequence.table.blocks()[i], sequence.chain[i],
        std::span{sequence.tokens}.subspan(std::size_t{i} * context_.pool.block_tokens(), context_.pool.block_tokens()));
  }
}

std::uint32_t SequenceSet::waiting_prefills() const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(waiting_, [](const auto& entry) { return entry.second.prefill.has_value(); }));
}

std::uint64_t SequenceSet::pending_prefill_tokens(bool running_only) const {
  std::uint64_t tokens = 0;
  for (const auto& [id, sequence] : running_) tokens += sequence.pending() > 1 || sequence.prefill ? sequence.pending() : 0;
  if (running_only) return tokens;
  for (const auto& [id, sequence] : waiting_) tokens += sequence.pending();
  return tokens;
}

std::uint64_t SequenceSet::context_tokens() const {
  std::uint64_t tokens = 0;
  for (const auto& [id, sequence] : running_) tokens += sequence.tokens.size();
  return tokens;
}

void SequenceSet::check_invariants() const {
  for (const auto& [id, sequence] : waiting_) {
    CHECK(sequence.id == id && !running_.contains(id), "sequence {}.{} is in two places", id.age, id.choice);
    CHECK(sequence.table.empty() && sequence.stored == 0 && !sequence.copy_from, "sequence {}.{} waits with blocks", id.age,
          id.choice);
  }
  for (const auto& [id, sequence] : running_) {
    CHECK(sequence.id == id, "sequence {}.{} is filed under another name", id.age, id.choice);
    CHECK(sequence.pending() > 0, "sequence {}.{} has nothing to run", id.age, id.choice);
    CHECK(context_.pool.blocks_for(sequence.stored) <= sequence.table.size(), "sequence {}.{} stores beyond its table",
          id.age, id.choice);
    CHECK(sequence.tokens.size() <= context_.options.max_model_len, "sequence {}.{} outgrew the context", id.age, id.choice);
  }
}

}  // namespace baton
