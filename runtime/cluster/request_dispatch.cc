#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/random.h"
#include "runtime/cluster/request_state.h"

namespace baton {
namespace {

// The scheduler answers at once; an answer that is not there by then was lost, with it or on the way.
constexpr Duration kAnswerDeadline = Milliseconds{500};

}  // namespace

Duration retry_backoff(RequestId request, std::uint32_t n) {
  const Duration whole = std::min<Duration>(Milliseconds{20} * (std::int64_t{1} << std::min(n, 5u)), Milliseconds{500});
  return whole - Duration{static_cast<std::int64_t>(draw_unit(request.value, n) * static_cast<double>(whole.count()) / 4)};
}

void RequestCore::State::dispatch(Attempt attempt, Instant now) {
  attempt.base = static_cast<std::uint32_t>(choices[attempt.first_choice].stream.delivered().size());
  attempt.key = {RequestId{spec.id.value + attempt.first_choice}, Epoch{choices[attempt.first_choice].epochs + 1}};
  for (std::uint32_t c = attempt.first_choice; c < attempt.first_choice + attempt.choices; ++c) {
    CHECK(!choices[c].stream.done() && choices[c].stream.delivered().size() < std::max(spec.sampling.max_tokens, 1u),
          "choice {} has ended and is dispatched", c);
    choices[c].stream.begin_attempt();
    ++choices[c].epochs;
  }
  attempts.push_back(std::move(attempt));
  if (attempts.back().next_at <= now) ask(attempts.back(), now);
}

void RequestCore::State::ask(Attempt& attempt, Instant now) {
  AssignRequest message{.key = attempt.key,
                        .prompt_tokens = static_cast<std::uint32_t>(spec.prompt.size()) + attempt.base,
                        .max_output_tokens = spec.sampling.max_tokens - attempt.base,
                        .choices = attempt.choices,
                        .avoid = avoid,
                        .prefix = prefix.names,
                        .prefix_stride = prefix.stride,
                        .time_left = time_left(now)};
  out.push_back(SendAssign{std::move(message)});
  attempt.asked = true;
  attempt.next_at = std::min(now + kAnswerDeadline, attempt.window_end);
}

void RequestCore::State::refused(Attempt& attempt, const Error& error, Instant now) {
  const bool curable = error.code == ErrorCode::unavailable || (error.code == ErrorCode::queue_full && !attempt.fresh);
  if (!curable || now >= attempt.window_end) return end(error);
  attempt.refusal = error;
  attempt.next_at = std::min(now + retry_backoff(attempt.key.request, attempt.tries++), attempt.window_end);
}

void RequestCore::State::assign_tick(Instant now) {
  for (Attempt& attempt : attempts) {
    if (attempt.phase != Attempt::Phase::assigning || now < attempt.next_at) continue;
    if (now >= attempt.window_end) {
      const auto waited = std::chrono::duration_cast<Milliseconds>(spec.assign_deadline).count();
      const std::string silence = fmt::format("no scheduler answered within {} ms; is its node up? see /cluster", waited);
      return end(attempt.refusal ? *attempt.refusal : Error{ErrorCode::unavailable, Scope::cluster, silence});
    }
    ask(attempt, now);
  }
}

std::vector<TokenId> RequestCore::State::tokens_of(const Attempt& attempt) const {
  const std::vector<TokenId>& delivered = choices[attempt.first_choice].stream.delivered();
  std::vector<TokenId> tokens;
  tokens.reserve(spec.prompt.size() + attempt.base);
  tokens = spec.prompt;
  tokens.insert(tokens.end(), delivered.begin(), delivered.begin() + attempt.base);
  return tokens;
}

void RequestCore::State::assigned(Attempt& attempt, const Assigned& event, Instant now) {
  attempt.assigned = event;
  if (event.prefill == event.decode) attempt.assigned.mode = HandOffMode::local;
  if (attempt.local()) attempt.assigned.decode = event.prefill;
  attempt.phase = Attempt::Phase::prefilling;
  const Assigned& to = attempt.assigned;
  std::vector<TokenId> tokens = tokens_of(attempt);
  const auto prompt_tokens = static_cast<std::uint32_t>(spec.prompt.size());

  if (to.mode == HandOffMode::push_by_layer) {
    out.push_back(SendToInstance<Reserve>{to.decode, {.key = attempt.key, .target = to.decode, .gateway = spec.gateway,
                                                      .prefill = to.prefill, .tokens = tokens, .time_left = time_left(now)}});
  }
  PrefillRequest work{.key = attempt.key, .target = to.prefill, .gateway = spec.gateway, .tokens = std::move(tokens),
                      .prompt_tokens = prompt_tokens, .sampling = spec.sampling, .first_choice = attempt.first_choice,
                      .choices = attempt.choices, .decode = to.decode, .mode = to.mode, .time_left = time_left(now)};
  // Scores that the client has would only keep the prefix cache from being used.
  if (scores_emitted + 1 >= prompt_tokens && spec.sampling.max_tokens > 0) work.sampling.prompt_logprobs = -1;
  out.push_back(SendToInstance<PrefillRequest>{to.prefill, std::move(work)});
}

void RequestCore::State::start_decode(Attempt& attempt, Instant now) {
  const Assigned& to = attempt.assigned;
  attempt.phase = Attempt::Phase::decoding;
  if (attempt.local()) return;
  DecodeRequest work{.key = attempt.key, .target = to.decode, .gateway = spec.gateway, .prefill = to.prefill,
                     .tokens = tokens_of(attempt), .prompt_tokens = static_cast<std::uint32_t>(spec.prompt.size()),
                     .sampling = spec.sampling, .mode = to.mode, .time_left = time_left(now)};
  for (std::uint32_t c = attempt.first_choice; c < attempt.first_choice + attempt.choices; ++c) {
    if (!choices[c].stream.done()) work.choices.push_back({c, choices[c].stream.delivered()[attempt.base]});
  }
  out.push_back(SendToInstance<DecodeRequest>{to.decode, std::move(work)});
}

}  // namespace baton
