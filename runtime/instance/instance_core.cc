#include "runtime/instance/instance_core.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/instance/instance_state.h"

namespace baton {

using State = InstanceCore::State;

// ---- attempts --------------------------------------------------------------------------------------------------------

bool State::admissible(const RequestKey& key) {
  if (book.stale(key)) return false;
  if (const Attempt* attempt = book.find(key.request); attempt != nullptr && attempt->epoch < key.epoch) end(key.request);
  return true;
}

std::optional<Error> State::refusal(std::uint64_t tokens, std::uint32_t prompt_tokens, const SamplingParams& sampling) const {
  const InstanceOptions& options = context.options;
  if (tokens == 0 || prompt_tokens == 0 || prompt_tokens > tokens) {
    return Error{ErrorCode::invalid_argument, Scope::request, "the prompt is empty: give at least one token", "prompt"};
  }
  if (tokens + (sampling.max_tokens > 0 ? 1 : 0) > options.max_model_len) {
    return Error{ErrorCode::context_length_exceeded, Scope::request,
                 fmt::format("{} tokens and one more do not fit the context of {} tokens: shorten the prompt", tokens,
                             options.max_model_len),
                 "prompt"};
  }
  const std::uint64_t longest = std::max<std::uint64_t>(
      tokens, std::min<std::uint64_t>(std::uint64_t{prompt_tokens} + sampling.max_tokens, options.max_model_len));
  if (context.pool.blocks_for(longest) > context.pool.total()) {
    return Error{
        ErrorCode::invalid_argument, Scope::request,
        fmt::format(
            "{} prompt tokens and max_tokens {} need {} KV blocks, the instance has {}: lower max_tokens, or start it with "
            "more --kv-blocks",
            prompt_tokens, sampling.max_tokens, context.pool.blocks_for(longest), context.pool.total()),
        "max_tokens"};
  }
  return std::nullopt;
}

void State::refuse(const RequestKey& key, InstanceRef gateway, Error error) {
  context.out.send(gateway, AttemptFailed{key, context.options.self, std::move(error), context.options.self});
}

void State::fail(RequestId request, Error error, InstanceRef culprit) {
  const Attempt* attempt = book.find(request);
  if (attempt == nullptr) return;
  if (attempt->gateway != InstanceRef{}) {
    context.out.send(attempt->gateway, AttemptFailed{{request, attempt->epoch}, context.options.self, std::move(error), culprit});
  }
  end(request);
}

void State::end(RequestId request) {
  const Attempt* attempt = book.find(request);
  if (attempt == nullptr) return;
  for (const SequenceId id : sequences.of_age(attempt->age)) sequences.remove(id);
  source.drop(request);
  sink.drop(request);
  context.deadlines.clear_all(request);
  book.end({request, attempt->epoch});
}

void State::end_if_done(RequestId request) {
  const Attempt* attempt = book.find(request);
  if (attempt != nullptr && attempt->stage == Stage::computing && !sequences.any_of_age(attempt->age)) end(request);
}

void State::cancel_choice(RequestId request, std::uint32_t choice) {
  const Attempt& attempt = *book.find(request);
  if (attempt.stage == Stage::inbound && sink.cancel_choice(request, choice)) return end(request);
  if (attempt.stage != Stage::computing) return;
  for (const SequenceId id : sequences.of_age(attempt.age)) {
    Sequence& sequence = *sequences.find(id);
    if (sequence.prefill) {
      std::erase(sequence.prefill->choices, choice);
      if (sequence.prefill->choices.empty()) return end(request);
    } else if (id.choice == choice) {
      sequences.remove(id);
    }
  }
  end_if_done(request);
}

void State::start_prefill(const PrefillRequest& request, Instant now) {
  Attempt& attempt = book.begin(request.key, request.gateway, Stage::computing);
  context.deadlines.set(Wait::request, request.key.request, now + request.time_left);
  Sequence sequence;
  sequence.id = {attempt.age, request.first_choice};
  sequence.key = request.key;
  sequence.gateway = request.gateway;
  sequence.sampling = request.sampling;
  sequence.prompt_tokens = request.prompt_tokens;
  sequence.tokens = request.tokens;
  sequence.arrived = now;
  PrefillPart& prefill = sequence.prefill.emplace();
  prefill.decode = request.decode;
  prefill.mode = request.decode == context.options.self ? HandOffMode::local : request.mode;
  for (std::uint32_t i = 0; i < request.choices; ++i) prefill.choices.push_back(request.first_choice + i);
  // After a recovery the scores were delivered already: they precede the first token.
  prefill.score_prompt = request.sampling.prompt_logprobs >= 0 && request.tokens.size() == request.prompt_tokens;
  if (prefill.mode != HandOffMode::local) partners.needed(prefill.decode);
  if (const auto grant = source.take_early(request.key)) source.on_grant_before_end(*grant, sequence);
  sequences.add_waiting(std::move(sequence));
}

// ---- after every event -----------------------------------------------------------------------------------------------

// The first of the waiting sequences and the first of the queued offers go by age, and nobody takes memory ahead of one that goes
// before it and lacks it. While a step runs sequences are not admitted (the blocks it makes may be a prefix of theirs), and an offer
// leaves room for the first.
void State::admit(Instant now) {
  const InstanceOptions& options = context.options;
  for (;;) {
    const auto offer = sink.first_queued_age();
    const bool busy = !sequences.running().empty() || sink.moving() > 0;      // somebody will grow
    const bool batch_full = sequences.running().size() + sink.moving() >= options.max_running;
    const auto waiting = sequences.first_waiting(now);
    const bool sequence_first = waiting && (!offer || waiting->age < *offer);
    if (sequence_first && !step && !batch_full && sequences.pending_tokens_before(*waiting, now) < options.prefill_token_budget) {
      if (!sequences.admit(*waiting, busy)) return;
      continue;
    }
    if (!offer || batch_full) return;
    if (!sink.grant_first(busy || sequence_first, sequence_first ? sequences.blocks_to_admit(*waiting) : 0, now)) return;
  }
}

InstanceCommands State::pump(Instant now) {
  context.out.flush_tokens();
  admit(now);
  if (!step) step = composer.compose(now);
  reporter.after_event([&] { return load(); }, now);
  if (const auto next = context.deadlines.next(); next && next != timer) {
    timer = next;
    context.out.add(SetTimer{*next});
  }
  return context.out.take();
}

// ---- the events ------------------------------------------------------------------------------------------------------

InstanceCore::InstanceCore(InstanceOptions options) : state_(std::make_unique<State>(std::move(options))) {}
InstanceCore::~InstanceCore() = default;
InstanceCore::InstanceCore(InstanceCore&&) noexcept = default;

InstanceCommands InstanceCore::on(const PrefillRequest& event, Instant now) {
  State& s = *state_;
  if (event.target != s.context.options.self || !s.admissible(event.key) || s.book.find(event.key) != nullptr) return s.pump(now);
  if (s.draining) {
    s.refuse(event.key, event.gateway,
             {ErrorCode::unavailable, Scope::instance, "the instance is draining: dispatch to another"});
  } else if (auto error = s.refusal(event.tokens.size(), event.prompt_tokens, event.sampling)) {
    s.refuse(event.key, event.gateway, std::move(*error));
  } else if (event.choices == 0) {
    s.refuse(event.key, event.gateway, {ErrorCode::invalid_argument, Scope::request, "n must be at least 1", "n"});
  } else if (s.sequences.waiting_prefills() >= s.context.options.max_waiting) {
    s.refuse(event.key, event.gateway,
             {ErrorCode::queue_full, Scope::instance, "the prefill queue is full: try again later", {}, 1});
  } else {
    s.start_prefill(event, now);
  }
  return s.pump(now);
}

InstanceCommands InstanceCore::on(const DecodeRequest& event, Instant now) {
  State& s = *state_;
  if (event.target != s.context.options.self || event.choices.empty() || !s.admissible(event.key)) return s.pump(now);
  Attempt* attempt = s.book.find(event.key);
  if (attempt != nullptr && attempt->stage != Stage::inbound) return s.pump(now);
  std::optional<Error> error = s.refusal(event.tokens.size(), event.prompt_tokens, event.sampling);
  if (!error && attempt == nullptr && s.draining) {
    error = Error{ErrorCode::unavailable, Scope::instance, "the instance is draining: dispatch to another"};
  } else if (!error && attempt == nullptr && s.sink.size() >= s.context.options.max_waiting) {
    error = Error{ErrorCode::queue_full, Scope::instance, "too many requests wait for their KV: try again later", {}, 1};
  }
  if (error) {
    s.refuse(event.key, event.gateway, std::move(*error));
    if (attempt != nullptr) s.end(event.key.request);
    return s.pump(now);
  }
  if (attempt == nullptr) attempt = &s.book.begin(event.key, event.gateway, Stage::inbound);
  attempt->gateway = event.gateway;
  s.partners.needed(event.prefill);
  s.arrived(s.sink.on_decode(event, *attempt, s.book, now));
  return s.pump(now);
}

InstanceCommands InstanceCore::on(const Reserve& event, Instant now) {
  State& s = *state_;
  if (event.target != s.context.options.self || !s.admissible(event.key)) return s.pump(now);
  Attempt* attempt = s.book.find(event.key);
  const bool fits = !event.tokens.empty() && s.context.pool.blocks_for(event.tokens.size()) <= s.context.pool.total();
  if (attempt == nullptr && fits && !s.draining && s.sink.size() < s.context.options.max_waiting) {
    attempt = &s.book.begin(event.key, event.gateway, Stage::inbound);
  }
  if (attempt == nullptr || attempt->stage != Stage::inbound || !fits) return s.pump(now);      // its Offer is pulled, or refused
  attempt->gateway = event.gateway;
  s.partners.needed(event.prefill);
  s.sink.on_reserve(event, *attempt, s.book, now);
  return s.pump(now);
}

InstanceCommands InstanceCore::on(const Offer& event, Instant now) {
  State& s = *state_;
  if (event.target != s.context.options.self) return s.pump(now);
  Attempt* attempt = s.admissible(event.key) ? s.book.find(event.key) : nullptr;
  const bool welcome = attempt != nullptr
                           ? attempt->stage == Stage::inbound
                           : !s.book.stale(event.key) && !s.draining && s.sink.size() < s.context.options.max_waiting;
  if (!welcome) {                                    // nobody will pull it: P need not wait for the lease's end
    s.context.out.send(event.from, Release{event.key, s.context.options.self, false});
    return s.pump(now);
  }
  if (attempt == nullptr) attempt = &s.book.begin(event.key, {}, Stage::inbound);
  s.arrived(s.sink.on_offer(event, *attempt, s.book, now));
  return s.pump(now);
}

InstanceCommands InstanceCore::on(const Grant& event, Instant now) {
  State& s = *state_;
  if (event.target != s.context.options.self || s.book.stale(event.key)) return s.pump(now);
  const Attempt* attempt = s.book.find(event.key);
  if (attempt == nullptr) {
    s.source.keep_early(event);
  } else if (attempt->stage == Stage::holding) {
    if (auto error = s.source.on_grant(event)) s.fail(event.key.request, std::move(*error), event.from);
  } else if (attempt->stage == Stage::computing) {
    for (const SequenceId id : s.sequences.of_age(attempt->age)) s.source.on_grant_before_end(event, *s.sequences.find(id));
  }
  return s.pump(now);
}

InstanceCommands InstanceCore::on(const RenewLease& event, Instant now) {
  if (state_->book.find(event.key) != nullptr) state_->source.renew(event, now);
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const Release& event, Instant now) {
  State& s = *state_;
  if (s.book.find(event.key) != nullptr && s.source.release(event)) {
    s.context.deadlines.clear_all(event.key.request);
    s.book.end(event.key);
  }
  return s.pump(now);
}

InstanceCommands InstanceCore::on(const Withdraw& event, Instant now) {
  if (event.target == state_->context.options.self) state_->arrived(state_->sink.on_withdraw(event, now));
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const CancelRequest& event, Instant now) {
  State& s = *state_;
  Attempt* attempt = s.book.find(event.key.request);
  const bool covered = attempt != nullptr && attempt->epoch <= event.key.epoch;
  if (event.choice >= 0) {
    if (covered && attempt->epoch == event.key.epoch)
      s.cancel_choice(event.key.request, static_cast<std::uint32_t>(event.choice));
  } else {
    if (covered) s.end(event.key.request);
    s.book.end(event.key);                           // also before its message came
  }
  return s.pump(now);
}

InstanceCommands InstanceCore::on(const StepDone& event, Instant now) {
  state_->step_done(event, now);
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const StepFailed& event, Instant now) {
  state_->step_failed(event);
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const SlotsLanded& event, Instant now) {
  state_->arrived(state_->sink.on_landed(event, now));
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const SlotRejected& event, Instant now) {
  state_->arrived(state_->sink.on_rejected(event));
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const TransferFailed& event, Instant now) {
  if (const auto request = state_->sink.request_of(event.transfer)) state_->arrived(state_->sink.lose(*request, now));
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const SendsComplete& event, Instant now) {
  state_->sends_complete(event);
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const PeerDown& event, Instant now) {
  state_->partners.disconnected(event.peer);
  state_->instance_down(event.peer, now);
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const PeerUp& event, Instant now) {
  state_->partners.connected(event.peer);
  state_->source.peer_up(event.peer);
  state_->sink.peer_up(event.peer);
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const KvLinkDown& event, Instant now) {
  state_->partners.kv_link_down(event.peer);
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const KvLinkUp& event, Instant now) {
  state_->partners.kv_link_up(event.peer);
  return state_->pump(now);
}

InstanceCommands InstanceCore::on(const Tick&, Instant now) {
  state_->timer.reset();
  while (const auto key = state_->context.deadlines.pop_due(now)) state_->wait_ended(*key, now);
  return state_->pump(now);
}

InstanceCommands InstanceCore::drain(Instant now) {
  state_->draining = true;
  return state_->pump(now);
}

const InstanceStats& InstanceCore::stats() const { return state_->context.stats; }
LoadReport InstanceCore::load() const { return state_->load(); }

bool InstanceCore::idle() const {
  const State& s = *state_;
  return s.book.live().empty() && s.source.empty() && !s.step;
}

void InstanceCore::check_invariants() const { state_->check_invariants(); }

}  // namespace baton
