#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/cluster/request_state.h"

namespace baton {
namespace {

constexpr std::size_t kAvoided = 16;       // instances remembered as having failed a request, or as having blamed another

// What another instance would answer just the same.
bool cannot_be_cured(ErrorCode code) {
  return code == ErrorCode::invalid_argument || code == ErrorCode::context_length_exceeded ||
         code == ErrorCode::deadline_exceeded || code == ErrorCode::cancelled || code == ErrorCode::unsupported;
}

void remember_last(std::vector<InstanceId>& ids, InstanceId id) {
  std::erase(ids, id);
  ids.push_back(id);
  if (ids.size() > kAvoided) ids.erase(ids.begin());
}

}  // namespace

void RequestCore::State::cancel_at(const Attempt& attempt, Tell whom) {
  if (attempt.phase == Attempt::Phase::assigning) return;
  const auto tell = [&](const InstanceRef& to) { out.push_back(SendToInstance<CancelRequest>{to, {.key = attempt.key}}); };
  const bool prefill = whom != Tell::decode;
  const bool decode = whom != Tell::prefill;
  if (prefill || (decode && attempt.local())) tell(attempt.assigned.prefill);
  if (decode && !attempt.local()) tell(attempt.assigned.decode);
}

void RequestCore::State::close(RequestKey key) {
  const auto place = std::find_if(attempts.begin(), attempts.end(), [&](const Attempt& a) { return a.key == key; });
  CHECK(place != attempts.end());
  if (place->asked) out.push_back(SendEnded{{.key = key}});
  attempts.erase(place);
}

// Who blames a partner is believed once; who does so again may be what is broken.
void RequestCore::State::avoid_after(const Failure& failure) {
  if (failure.culprit != failure.by) {
    if (std::find(accusers.begin(), accusers.end(), failure.by.id) != accusers.end()) remember_last(avoid, failure.by.id);
    remember_last(accusers, failure.by.id);
  }
  remember_last(avoid, failure.culprit.id);
}

// Both sides of the attempt may still hold something for it, unless they are no more.
void RequestCore::State::fail(RequestKey key, const Failure& failure, Instant now) {
  const auto& [by, by_is_gone, culprit, error] = failure;
  const Attempt failed = *find(key);
  if (cannot_be_cured(error.code)) return end(error);
  const bool by_prefill = by == failed.assigned.prefill;
  if (failed.local()) {
    if (!by_is_gone) cancel_at(failed, Tell::prefill);
  } else if (by_is_gone) {
    cancel_at(failed, by_prefill ? Tell::decode : Tell::prefill);
  } else {
    cancel_at(failed, Tell::both);
  }
  close(key);
  avoid_after(failure);
  if (error.code == ErrorCode::queue_full && untouched(failed)) {
    turned_away(failed, error, now);
  } else {
    redispatch(failed, error, now);
  }
}

// None of its choices has a token of it: all can go on from one prefill again.
bool RequestCore::State::untouched(const Attempt& attempt) const {
  return std::all_of(choices.begin() + attempt.first_choice, choices.begin() + attempt.first_choice + attempt.choices,
                     [&](const Choice& c) { return !c.stream.done() && c.stream.delivered().size() == attempt.base; });
}

// A full queue is no failure: the same window, at another instance.
void RequestCore::State::turned_away(const Attempt& failed, const Error& error, Instant now) {
  if (now >= failed.window_end) return end(error);
  Attempt next{.first_choice = failed.first_choice, .choices = failed.choices};
  next.fresh = failed.fresh;
  next.tries = failed.tries + 1;
  next.window_end = failed.window_end;
  next.next_at = std::min(now + retry_backoff(failed.key.request, failed.tries), failed.window_end);
  next.refusal = error;
  dispatch(std::move(next), now);
}

void RequestCore::State::redispatch(const Attempt& failed, const Error& error, Instant now) {
  const std::uint32_t last = failed.first_choice + failed.choices;
  const bool whole = untouched(failed);
  for (std::uint32_t c = failed.first_choice; c < last; ++c) {
    Choice& choice = choices[c];
    const bool progress = choice.stream.done() || choice.stream.delivered().size() > failed.base;
    if (!progress && ++choice.futile >= spec.max_attempts) {
      return end(Error{ErrorCode::unavailable, Scope::cluster,
                       fmt::format("gave up after {} attempts; the last: {}", choice.futile, error.message)});
    }
  }
  for (std::uint32_t c = failed.first_choice; c < last;) {
    const std::uint32_t count = whole ? failed.choices : 1;
    if (!choices[c].stream.done()) {
      Attempt next{.first_choice = c, .choices = count};
      // The first goes on at once. A token from each prefill is progress, but no reason to prefill as fast as others can fail.
      const std::uint32_t stumbles = choices[c].stumbles++ + (error.code == ErrorCode::queue_full ? 1 : 0);
      next.fresh = false;
      next.window_end = now + spec.assign_deadline;
      next.next_at = stumbles == 0 ? now : std::min(now + retry_backoff(failed.key.request, stumbles), next.window_end);
      ++(failed.phase == Attempt::Phase::decoding ? outcome.recoveries_decode : outcome.recoveries_prefill);
      dispatch(std::move(next), now);
    }
    c += count;
  }
}

}  // namespace baton
