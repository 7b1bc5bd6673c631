// What ends otherwise than by its last token: waits, peers, transfers.
#include <algorithm>
#include <utility>

#include "runtime/instance/instance_state.h"

namespace baton {

using State = InstanceCore::State;

void State::wait_ended(WaitKey key, Instant now) {
  switch (key.wait) {
    case Wait::report:
      return;                                        // looked at after every event
    case Wait::request:
      return fail(key.request, {ErrorCode::deadline_exceeded, Scope::request, "the request's deadline passed on the instance"},
                  context.options.self);
    case Wait::lease:
      ++context.stats.leases_ended;
      return fail(key.request, {ErrorCode::lease_ended, Scope::transfer, "the decode instance did not renew its lease on the KV"},
                  source.held_by(key.request));
    default: {
      HandOffSink::Outcome outcome = sink.on_wait(key.wait, key.request, now);
      if (outcome.over) {
        context.deadlines.clear_all(key.request);
        book.forget(key.request);
      }
      arrived(std::move(outcome.arrival));
    }
  }
}

void State::instance_down(InstanceRef peer, Instant now) {
  std::vector<RequestId> cancelled, failed = source.held_for(peer);
  for (const auto& [request, attempt] : book.live()) {
    if (attempt.gateway == peer) {
      cancelled.push_back(request);
    } else if (attempt.stage == Stage::computing) {
      for (const SequenceId id : sequences.of_age(attempt.age)) {
        const auto& prefill = sequences.find(id)->prefill;
        if (prefill && prefill->mode != HandOffMode::local && prefill->decode == peer) failed.push_back(request);
      }
    }
  }
  for (const RequestId request : cancelled) end(request);
  for (const RequestId request : failed) {
    fail(request, {ErrorCode::peer_unreachable, Scope::peer, "the decode instance of this request is down"}, peer);
  }
  for (const RequestId request : sink.peer_down(peer)) arrived(sink.lose(request, now));
}

// D would wait for the rest of the transfer in vain. It has the tokens, or will have them: it recomputes.
void State::sends_complete(const SendsComplete& done) {
  const std::optional<RequestId> lost = source.sends_complete(done);
  const Attempt* attempt = lost ? book.find(*lost) : nullptr;
  if (attempt == nullptr) return;
  if (attempt->stage == Stage::holding) {
    if (source.withdraw(*lost, done.transfer)) end(*lost);
  } else if (attempt->stage == Stage::computing) {
    for (const SequenceId id : sequences.of_age(attempt->age)) source.on_push_failed(done.transfer, *sequences.find(id));
  }
}

}  // namespace baton
