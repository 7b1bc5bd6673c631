// The state of a RequestCore and its steps. Private to runtime/cluster/request_*.cc.
//
//   request_dispatch.cc    an attempt: ask for an assignment, again with backoff until its window closes, send the work
//   request_recovery.cc    an attempt that failed: who is told, what is dispatched anew, when to give up
//   request_core.cc        events to those; delivery; the one outcome
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/cluster/choice_stream.h"
#include "runtime/cluster/request_core.h"
#include "runtime/kv/prefix_identity.h"

namespace baton {

// One dispatch of one choice, or of all of them at first. Named by its key; a message of any other key is ignored.
struct Attempt {
  enum class Phase : std::uint8_t { assigning, prefilling, decoding };

  RequestKey key;
  std::uint32_t first_choice = 0;
  std::uint32_t choices = 1;
  std::uint32_t base = 0;              // output tokens delivered before it; the prefill makes token `base`
  Phase phase = Phase::assigning;
  Assigned assigned;                   // once past assigning
  bool decode_spoke = false;           // a token came from D: the KV is there, P is no longer needed
  bool stopped_here = false;           // a choice ended by the text: its instance does not know
  std::uint32_t scores_seen = 0;       // prompt scores that its prefill sent

  // Assigning.
  bool fresh = true;                   // nothing of the request has run yet: a full cluster is the client's to know at once
  bool asked = false;                  // the scheduler may count it
  std::uint32_t tries = 0;             // refusals in a row
  Instant window_end;
  Instant next_at;                     // when to ask (again)
  std::optional<Error> refusal;        // the last

  bool has(std::uint32_t choice) const { return choice >= first_choice && choice < first_choice + choices; }
  bool local() const { return assigned.mode == HandOffMode::local; }
  bool involves(const InstanceRef& instance) const {
    return phase != Phase::assigning && (instance == assigned.prefill || instance == assigned.decode);
  }
};

struct RequestCore::State {
  struct Choice {
    ChoiceStream stream;
    std::uint32_t epochs = 0;          // of dispatches so far
    std::uint32_t futile = 0;          // attempts that failed since its last token; not those a full queue turned away
    std::uint32_t stumbles = 0;        // attempts in a row that failed before anything went on from their prefill
  };

  RequestSpec spec;
  PrefixNames prefix;                  // of the prompt
  std::vector<Choice> choices;
  std::vector<Attempt> attempts;       // live ones, each choice in at most one
  std::vector<InstanceId> avoid;       // that failed this request, newest last
  std::vector<InstanceId> accusers;    // that blamed a partner for it
  std::uint32_t scores_emitted = 0;
  bool started = false;
  bool ended = false;
  bool token_seen = false;
  Instant deadline;
  std::optional<Instant> timer;        // as last set
  RequestOutcome outcome;
  RequestCommands out;                 // of the event in hand

  // request_core.cc
  RequestCommands finish_event();      // the timer, and what was gathered
  bool over(Instant now);              // nothing happens any more; past the deadline it ends the request
  Attempt* find(RequestKey key);
  void deliver(Attempt& attempt, const TokenOut& token, Instant now);
  void attempt_done(const Attempt& attempt, bool last_stopped_here);
  void end(std::optional<Error> error);

  // request_dispatch.cc
  void dispatch(Attempt attempt, Instant now);
  void ask(Attempt& attempt, Instant now);
  void refused(Attempt& attempt, const Error& error, Instant now);
  void assigned(Attempt& attempt, const Assigned& event, Instant now);
  void start_decode(Attempt& attempt, Instant now);
  void assign_tick(Instant now);
  std::vector<TokenId> tokens_of(const Attempt& attempt) const;
  Duration time_left(Instant now) const { return std::max(deadline - now, Duration{0}); }

  // request_recovery.cc
  enum class Tell : std::uint8_t { prefill = 1, decode = 2, both = 3 };
  void cancel_at(const Attempt& attempt, Tell whom);
  void close(RequestKey key);   // the attempt is over: the scheduler is told, it is forgotten
  struct Failure {
    InstanceRef by;             // who said so, or
    bool by_is_gone = false;    // is no more
    InstanceRef culprit;        // whom to avoid from now on
    Error error;
  };
  void fail(RequestKey key, const Failure& failure, Instant now);
  void avoid_after(const Failure& failure);
  bool untouched(const Attempt& attempt) const;
  void turned_away(const Attempt& failed, const Error& error, Instant now);
  void redispatch(const Attempt& failed, const Error& error, Instant now);
};

// Between tries `n` and n + 1: doubles from 20 ms to 500 ms, spread by up to a quarter so that requests do not come in step.
Duration retry_backoff(RequestId request, std::uint32_t n);

}  // namespace baton
