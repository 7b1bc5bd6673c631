#include "runtime/cluster/request_core.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/cluster/request_state.h"

namespace baton {

RequestCore::RequestCore(RequestSpec spec, std::shared_ptr<const Tokenizer> tokenizer) : state_(std::make_unique<State>()) {
  CHECK(spec.choices >= 1 && spec.choices <= kChoiceStride, "{} choices", spec.choices);
  CHECK(!spec.prompt.empty());
  state_->spec = std::move(spec);
  state_->prefix = prefix_names(state_->spec.prompt);
  for (std::uint32_t c = 0; c < state_->spec.choices; ++c) {
    state_->choices.push_back({.stream = ChoiceStream{c, state_->spec, tokenizer}});
  }
}

RequestCore::~RequestCore() = default;
RequestCore::RequestCore(RequestCore&&) noexcept = default;

RequestCommands RequestCore::State::finish_event() {
  if (!ended && started) {
    Instant at = deadline;
    for (const Attempt& attempt : attempts) {
      if (attempt.phase == Attempt::Phase::assigning) at = std::min(at, attempt.next_at);
    }
    if (at != timer) out.push_back(SetRequestTimer{at});
    timer = at;
  }
  return std::exchange(out, {});
}

bool RequestCore::State::over(Instant now) {
  if (ended || !started) return true;
  if (now < deadline) return false;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(spec.deadline).count();
  end(Error{ErrorCode::deadline_exceeded, Scope::request, fmt::format("the request's deadline of {} s passed", seconds)});
  return true;
}

Attempt* RequestCore::State::find(RequestKey key) {
  const auto place = std::find_if(attempts.begin(), attempts.end(), [&](const Attempt& a) { return a.key == key; });
  return place == attempts.end() ? nullptr : &*place;
}

void RequestCore::State::end(std::optional<Error> error) {
  if (ended) return;
  while (!attempts.empty()) {
    cancel_at(attempts.back(), Tell::both);
    close(attempts.back().key);
  }
  ended = true;
  outcome.error = std::move(error);
  outcome.prompt_tokens = static_cast<std::uint32_t>(spec.prompt.size());
  for (const Choice& choice : choices) {
    outcome.completion_tokens += static_cast<std::uint32_t>(choice.stream.delivered().size());
  }
  out.push_back(outcome);
}

void RequestCore::State::deliver(Attempt& attempt, const TokenOut& token, Instant now) {
  Choice& choice = choices[token.choice];
  ChoiceStream::Progress progress = choice.stream.take(spec, token);
  if (progress.overflow) {
    const Error lost{ErrorCode::internal, Scope::instance, "tokens were lost on the way to the gateway"};
    const bool decoding = attempt.phase == Attempt::Phase::decoding;
    const InstanceRef by = decoding ? attempt.assigned.decode : attempt.assigned.prefill;
    return fail(attempt.key, {by, false, by, lost}, now);
  }
  if (progress.emitted.empty()) return;
  if (!std::exchange(token_seen, true)) outcome.cached_tokens = token.cached_tokens;
  choice.futile = 0;
  if (choice.stream.delivered().size() > attempt.base + 1) choice.stumbles = 0;
  for (EmitToken& emitted : progress.emitted) out.push_back(std::move(emitted));
  attempt.stopped_here = attempt.stopped_here || progress.stopped_here;

  bool all_done = true;
  bool all_first = true;
  for (std::uint32_t c = attempt.first_choice; c < attempt.first_choice + attempt.choices; ++c) {
    all_done = all_done && choices[c].stream.done();
    all_first = all_first && choices[c].stream.delivered().size() > attempt.base;
  }
  if (all_done) {
    attempt_done(attempt, progress.stopped_here);
  } else {
    // The instance that makes the choice's tokens goes on unless told. Before a hand-off that is nobody: P makes one token each.
    const bool running = attempt.local() || attempt.phase == Attempt::Phase::decoding;
    if (progress.stopped_here && running) {
      const CancelRequest stop{.key = attempt.key, .choice = static_cast<std::int32_t>(token.choice)};
      out.push_back(SendToInstance<CancelRequest>{attempt.assigned.decode, stop});
    }
    if (all_first && attempt.phase == Attempt::Phase::prefilling) start_decode(attempt, now);
  }
}

void RequestCore::State::attempt_done(const Attempt& attempt, bool last_stopped_here) {
  const bool before_hand_off = !attempt.local() && attempt.phase == Attempt::Phase::prefilling;
  if (before_hand_off && attempt.stopped_here) {
    cancel_at(attempt, Tell::both);        // P has offered, not knowing of the stop string
  } else if (before_hand_off && attempt.assigned.mode == HandOffMode::push_by_layer) {
    cancel_at(attempt, Tell::decode);      // P made no offer; D would keep the blocks that it granted
  } else if (last_stopped_here) {
    cancel_at(attempt, attempt.decode_spoke ? Tell::decode : Tell::both);
  }
  close(attempt.key);
  if (std::all_of(choices.begin(), choices.end(), [](const Choice& c) { return c.stream.done(); })) end(std::nullopt);
}

RequestCommands RequestCore::on(const StartRequest&, Instant now) {
  State& s = *state_;
  CHECK(!s.started, "a request starts once");
  if (s.ended) return {};
  s.started = true;
  s.deadline = now + s.spec.deadline;
  if (s.spec.sampling.max_tokens == 0 && s.spec.sampling.prompt_logprobs < 0) {
    for (State::Choice& choice : s.choices) s.out.push_back(choice.stream.end_without_token());
    s.end(std::nullopt);
  } else {
    Attempt first{.choices = s.spec.choices};
    first.window_end = now + s.spec.assign_deadline;
    first.next_at = now;
    s.dispatch(std::move(first), now);
  }
  return s.finish_event();
}

RequestCommands RequestCore::on(const Assigned& event, Instant now) {
  State& s = *state_;
  if (s.over(now)) return s.finish_event();
  Attempt* attempt = s.find(event.key);
  if (attempt != nullptr && attempt->phase == Attempt::Phase::assigning && attempt->asked) s.assigned(*attempt, event, now);
  return s.finish_event();
}

RequestCommands RequestCore::on(const AssignRefused& event, Instant now) {
  State& s = *state_;
  if (s.over(now)) return s.finish_event();
  Attempt* attempt = s.find(event.key);
  if (attempt != nullptr && attempt->phase == Attempt::Phase::assigning && attempt->asked) s.refused(*attempt, event.error, now);
  return s.finish_event();
}

RequestCommands RequestCore::on(const InstanceRef& from, const TokenOut& event, Instant now) {
  State& s = *state_;
  if (s.over(now)) return s.finish_event();
  Attempt* attempt = s.find(event.key);
  if (attempt == nullptr || !attempt->has(event.choice) || !attempt->involves(from)) return s.finish_event();
  if (!attempt->local() && from == attempt->assigned.decode) attempt->decode_spoke = true;
  s.deliver(*attempt, event, now);
  return s.finish_event();
}

// A recovered prefill scores the prompt again; only what the client has not yet seen is emitted.
RequestCommands RequestCore::on(const PromptScores& event, Instant now) {
  State& s = *state_;
  if (s.over(now)) return s.finish_event();
  Attempt* attempt = s.find(event.key);
  if (attempt == nullptr || !attempt->involves(event.from)) return s.finish_event();
  const auto all = static_cast<std::uint32_t>(s.spec.prompt.size()) - 1;
  const std::uint32_t begin = attempt->scores_seen;
  const std::uint32_t end = std::min(all, begin + static_cast<std::uint32_t>(event.scores.size()));
  attempt->scores_seen = end;
  if (end > s.scores_emitted) {
    const std::uint32_t skip = s.scores_emitted - begin;
    s.out.push_back(EmitPromptScores{{event.scores.begin() + skip, event.scores.begin() + (end - begin)}});
    s.scores_emitted = end;
  }
  if (event.last && s.spec.sampling.max_tokens == 0) {
    for (State::Choice& choice : s.choices) s.out.push_back(choice.stream.end_without_token());
    s.close(event.key);
    s.end(std::nullopt);
  }
  return s.finish_event();
}

RequestCommands RequestCore::on(const AttemptFailed& event, Instant now) {
  State& s = *state_;
  if (s.over(now)) return s.finish_event();
  Attempt* attempt = s.find(event.key);
  if (attempt == nullptr || !attempt->involves(event.from)) return s.finish_event();
  const bool p_is_done = attempt->decode_spoke && event.from == attempt->assigned.prefill;
  const InstanceRef culprit = attempt->involves(event.culprit) ? event.culprit : event.from;
  if (!p_is_done) s.fail(event.key, {event.from, false, culprit, event.error}, now);
  return s.finish_event();
}

RequestCommands RequestCore::on(const InstanceLost& event, Instant now) {
  State& s = *state_;
  if (s.over(now)) return s.finish_event();
  std::vector<RequestKey> lost;
  for (const Attempt& attempt : s.attempts) {
    // Once D has the tokens it recomputes what P can no longer send.
    const bool spared = attempt.phase == Attempt::Phase::decoding && event.instance != attempt.assigned.decode;
    if (attempt.involves(event.instance) && !spared) lost.push_back(attempt.key);
  }
  const Error error{ErrorCode::peer_unreachable, Scope::instance, "an instance was lost"};
  for (const RequestKey key : lost) {
    if (!s.ended) s.fail(key, {event.instance, true, event.instance, error}, now);
  }
  return s.finish_event();
}

RequestCommands RequestCore::on(const CancelByClient&, Instant) {
  State& s = *state_;
  s.end(Error{ErrorCode::cancelled, Scope::request, "the client went away"});
  return s.finish_event();
}

RequestCommands RequestCore::on(const RequestTick&, Instant now) {
  State& s = *state_;
  if (s.over(now)) return s.finish_event();
  s.timer.reset();                     // it rang
  s.assign_tick(now);
  return s.finish_event();
}

bool RequestCore::ended() const { return state_->ended; }

void RequestCore::check_invariants() const {
  const State& s = *state_;
  std::vector<int> carried(s.choices.size(), 0);
  for (const Attempt& attempt : s.attempts) {
    CHECK(attempt.choices >= 1 && attempt.first_choice + attempt.choices <= s.choices.size());
    for (std::uint32_t c = attempt.first_choice; c < attempt.first_choice + attempt.choices; ++c) ++carried[c];
  }
  for (std::size_t c = 0; c < s.choices.size(); ++c) {
    const State::Choice& choice = s.choices[c];
    choice.stream.check_invariants(s.spec);
    CHECK(carried[c] <= 1, "choice {} is in {} attempts", c, carried[c]);
    CHECK(s.ended || !s.started || choice.stream.done() || carried[c] == 1, "nobody works on choice {}", c);
    CHECK(s.ended || choice.futile < s.spec.max_attempts, "choice {} goes on after {} futile attempts", c, choice.futile);
  }
  CHECK(!s.ended || s.attempts.empty());
}

}  // namespace baton
