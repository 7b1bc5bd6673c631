// One core on the test's desk: events in, the commands of the last event out, invariants checked after each. The device is
// played by hand: `finish_step` answers the step in flight.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/instance/instance_core.h"
#include "runtime/kv/prefix_identity.h"

namespace baton::testing {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

inline constexpr InstanceRef kSelf{InstanceId{1}, Incarnation{7}};
inline constexpr InstanceRef kPeer{InstanceId{2}, Incarnation{9}};
inline constexpr InstanceRef kOther{InstanceId{3}, Incarnation{1}};
inline constexpr InstanceRef kGatewayA{InstanceId{100}, Incarnation{1}};
inline constexpr InstanceRef kGatewayB{InstanceId{101}, Incarnation{1}};
inline constexpr TokenId kEos = 2;

inline InstanceOptions small() {                       // 64 blocks of 4 tokens, 2 layers
  InstanceOptions options;
  options.self = kSelf;
  options.layers = 2;
  options.eos_tokens = {kEos};
  options.blocks = 64;
  options.block_tokens = 4;
  options.max_model_len = 200;
  options.watermark_blocks = 0;
  options.chunk_tokens = 0;
  return options;
}

inline RequestKey key(std::uint64_t request, std::uint32_t epoch = 1) { return {RequestId{request}, Epoch{epoch}}; }

inline std::vector<TokenId> prompt(std::uint32_t count, TokenId first = 100) {
  std::vector<TokenId> tokens;
  for (std::uint32_t i = 0; i < count; ++i) tokens.push_back(first + static_cast<TokenId>(i));
  return tokens;
}

inline PrefillRequest prefill(RequestKey k, std::vector<TokenId> tokens, HandOffMode mode = HandOffMode::local) {
  PrefillRequest r;
  r.key = k;
  r.target = kSelf;
  r.gateway = kGatewayA;
  r.prompt_tokens = static_cast<std::uint32_t>(tokens.size());
  r.tokens = std::move(tokens);
  r.sampling.max_tokens = 10;
  r.decode = mode == HandOffMode::local ? kSelf : kPeer;
  r.mode = mode;
  r.time_left = Milliseconds{60000};
  return r;
}

inline DecodeRequest decode(RequestKey k, std::vector<TokenId> tokens, std::vector<ChoiceStart> choices = {{0, 50}}) {
  DecodeRequest r;
  r.key = k;
  r.target = kSelf;
  r.gateway = kGatewayA;
  r.prefill = kPeer;
  r.prompt_tokens = static_cast<std::uint32_t>(tokens.size());
  r.tokens = std::move(tokens);
  r.sampling.max_tokens = 10;
  r.choices = std::move(choices);
  r.time_left = Milliseconds{60000};
  return r;
}

inline Offer offer(RequestKey k, std::uint32_t tokens, std::uint64_t root = 0) {
  return {k, kPeer, kSelf, tokens, (tokens + 3) / 4, root, Milliseconds{2000}};
}

inline Reserve reserve(RequestKey k, std::vector<TokenId> tokens) {
  return {k, kSelf, kGatewayA, kPeer, std::move(tokens), Milliseconds{60000}};
}

inline Grant grant(RequestKey k, std::uint64_t transfer, std::uint32_t blocks) {
  return {k, kPeer, kSelf, TransferId{transfer}, blocks};
}

class Desk {
 public:
  explicit Desk(InstanceOptions options = small()) : core(options) { on(Tick{}); }

  template <class Event>
  Desk& on(const Event& event) {
    absorb(core.on(event, now));
    return *this;
  }
  void drain() { absorb(core.drain(now)); }

  // Answers the step in flight; every sample is `token`, or the next of `tokens` while there are any.
  Desk& finish_step(std::vector<TokenId> tokens = {}, std::uint64_t root = 5, TokenId token = 50) {
    EXPECT_TRUE(step) << "no step is in flight";
    if (!step) return *this;
    StepDone done;
    const StartStep ran = *std::exchange(step, std::nullopt);
    done.step = ran.step;
    std::size_t next = 0;
    for (const StepSequence& part : ran.sequences) {
      for (const std::uint32_t choice : part.sample_choices) {
        done.samples.push_back({part.key, choice, {{next < tokens.size() ? tokens[next] : token, -1.0f, 1}, {}}});
        ++next;
      }
      if (!part.seal.empty()) done.roots.push_back({part.key, root});
      if (part.score_prompt) {
        StepPromptScores scores{part.key, {}};
        for (std::size_t i = 1; i < part.tokens.size(); ++i) scores.scores.push_back({{part.tokens[i], 0, 1}, {}});
        if (part.next_prompt_token >= 0) scores.scores.push_back({{part.next_prompt_token, 0, 1}, {}});
        done.prompt_scores.push_back(scores);
      }
    }
    return on(done);
  }

  // Time passes; timers fire when they are due. Commands of all of them are in `last`.
  Desk& pass(Duration time) {
    const Instant end = now + time;
    InstanceCommands all;
    while (timer && *timer <= end) {
      now = std::max(now, *timer);
      on(Tick{});
      all.insert(all.end(), last.begin(), last.end());
    }
    now = end;
    last = std::move(all);
    return *this;
  }

  template <class Command>
  std::vector<Command> all() const {
    std::vector<Command> found;
    for (const InstanceCommand& command : last) {
      if (const auto* c = std::get_if<Command>(&command)) found.push_back(*c);
    }
    return found;
  }
  template <class Message>
  std::vector<Message> sent() const {
    std::vector<Message> found;
    for (const auto& send : all<SendTo<Message>>()) found.push_back(send.message);
    return found;
  }
  std::vector<TokenOut> tokens() const {
    std::vector<TokenOut> found;
    for (const StepTokens& message : sent<StepTokens>()) found.insert(found.end(), message.tokens.begin(), message.tokens.end());
    return found;
  }
  std::optional<ErrorCode> failure() const {
    const auto failed = sent<AttemptFailed>();
    return failed.empty() ? std::nullopt : std::optional{failed.front().error.code};
  }
  // (start, count) of each sequence of the step in flight.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> spans() const {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> spans;
    if (!step) return spans;
    for (const StepSequence& part : step->sequences)
      spans.emplace_back(part.start, static_cast<std::uint32_t>(part.tokens.size()));
    return spans;
  }
  std::uint32_t used() const { return core.load().blocks_used; }
  std::uint32_t leased() const { return core.load().blocks_leased; }

  // All slots of `transfer` over `blocks` blocks but those in `but` land, with digests that fit root_of(blocks).
  Desk& land(TransferId transfer, std::uint32_t blocks, const std::vector<std::uint32_t>& but = {}) {
    SlotsLanded landed{transfer, {}, {}};
    for (std::uint32_t slot = 0; slot < 2 * blocks; ++slot) {
      if (std::ranges::find(but, slot) != but.end()) continue;
      landed.slots.push_back(slot);
      landed.digests.push_back(1000 + slot);
    }
    return on(landed);
  }
  static std::uint64_t root_of(std::uint32_t blocks) {
    std::vector<std::uint64_t> digests;
    for (std::uint32_t slot = 0; slot < 2 * blocks; ++slot) digests.push_back(1000 + slot);
    return root_digest(digests);
  }

  InstanceCore core;
  Instant now{1'000'000'000};
  InstanceCommands last;
  std::optional<StartStep> step;
  std::optional<Instant> timer;

 private:
  void absorb(InstanceCommands commands) {
    core.check_invariants();
    for (const InstanceCommand& command : commands) {
      if (const auto* s = std::get_if<StartStep>(&command)) {
        EXPECT_FALSE(step) << "two steps at once";
        step = *s;
      }
      if (const auto* t = std::get_if<SetTimer>(&command)) timer = t->at;
    }
    last = std::move(commands);
  }
};

}  // namespace baton::testing
