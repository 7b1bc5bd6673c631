// Requests and clusters in few words: a token is a letter, an instance has a short name, a command reads as a line of text.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cluster/request_core.h"
#include "runtime/text/tokenizer.h"

namespace baton {

inline Instant at(std::int64_t ms) { return Instant{ms * 1'000'000}; }

// Token t is the character t; '$' ends a sequence and '@' is a special token without text.
class LetterTokenizer final : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view text, EncodeOptions) const override { return {text.begin(), text.end()}; }
  std::optional<std::string> bytes_of(TokenId token, bool spell_special) const override {
    if (token < 0 || token > 127) return std::nullopt;
    return is_special(token) && !spell_special ? "" : std::string(1, static_cast<char>(token));
  }
  std::uint32_t vocabulary() const override { return 128; }
  bool is_special(TokenId token) const override { return token == '$' || token == '@'; }
  std::optional<TokenId> special(std::string_view) const override { return std::nullopt; }
  const std::vector<TokenId>& eos_tokens() const override { return eos_; }
  std::optional<TokenId> bos() const override { return std::nullopt; }

 private:
  std::vector<TokenId> eos_{'$'};
};

inline std::vector<TokenId> letters(const std::string& text) { return {text.begin(), text.end()}; }

// "P1" is the instance named P in its first life.
inline InstanceRef instance(const std::string& name) {
  return {InstanceId{static_cast<std::uint64_t>(name[0])}, Incarnation{name.size() > 1 ? std::stoull(name.substr(1)) : 1}};
}
inline std::string name_of(const InstanceRef& ref) {
  return fmt::format("{}{}", static_cast<char>(ref.id.value), ref.incarnation.value);
}

inline std::string text_of(const std::vector<TokenId>& tokens) { return {tokens.begin(), tokens.end()}; }
inline std::string name_of(RequestKey key) { return fmt::format("{}/{}", key.request.value, key.epoch.value); }

inline RequestKey key(std::uint64_t request, std::uint32_t epoch) { return {RequestId{request}, Epoch{epoch}}; }

inline TokenOut token(RequestKey key, std::uint32_t choice, std::uint32_t index, char letter,
                      FinishReason finish = FinishReason::none) {
  return {.key = key, .choice = choice, .index = index, .token = {.chosen = {.token = letter}}, .finish = finish, .cached_tokens = 16};
}

// The timer is left out: it is looked at where a test is about time.
struct CommandText {
  std::string operator()(const SendAssign& c) const {
    std::string avoid;
    for (const InstanceId id : c.message.avoid) avoid += static_cast<char>(id.value);
    return fmt::format("assign {} prompt {} output {} choices {}{}", name_of(c.message.key), c.message.prompt_tokens,
                       c.message.max_output_tokens, c.message.choices, avoid.empty() ? "" : " avoid " + avoid);
  }
  std::string operator()(const SendEnded& c) const { return "ended " + name_of(c.message.key); }
  std::string operator()(const SendToInstance<PrefillRequest>& c) const {
    const PrefillRequest& m = c.message;
    return fmt::format("prefill {} at {}: {} boundary {} choices {}+{} {} {}", name_of(m.key), name_of(c.to), text_of(m.tokens),
                       m.prompt_tokens, m.first_choice, m.choices, to_string(m.mode), name_of(m.decode));
  }
  std::string operator()(const SendToInstance<Reserve>& c) const {
    return fmt::format("reserve {} at {} for {}", name_of(c.message.key), name_of(c.to), text_of(c.message.tokens));
  }
  std::string operator()(const SendToInstance<DecodeRequest>& c) const {
    std::string starts;
    for (const ChoiceStart& s : c.message.choices) starts += fmt::format(" {}{}", s.choice, static_cast<char>(s.first_token));
    return fmt::format("decode {} at {}: {} boundary {} choices{}", name_of(c.message.key), name_of(c.to),
                       text_of(c.message.tokens), c.message.prompt_tokens, starts);
  }
  std::string operator()(const SendToInstance<CancelRequest>& c) const {
    return fmt::format("cancel {} at {}{}", name_of(c.message.key), name_of(c.to),
                       c.message.choice < 0 ? "" : fmt::format(" choice {}", c.message.choice));
  }
  std::string operator()(const EmitToken& c) const {
    std::string tokens;
    for (const ScoredToken& t : c.tokens) tokens += static_cast<char>(t.chosen.token);
    std::string end = c.finish_reason.empty() ? "" : " " + c.finish_reason;
    if (!c.stop_reason.empty()) end += " by " + c.stop_reason;
    if (c.stop_token >= 0) end += fmt::format(" by {}", c.stop_token);
    return fmt::format("emit {} '{}' of {}{}", c.choice, c.text, tokens, end);
  }
  std::string operator()(const EmitPromptScores& c) const { return fmt::format("scores {}", c.scores.size()); }
  std::string operator()(const RequestOutcome& c) const {
    const std::string end = c.error ? to_string(c.error->code) : "success";
    return fmt::format("outcome {}: {}+{} tokens, {} cached, recovered {}+{}", end, c.prompt_tokens, c.completion_tokens,
                       c.cached_tokens, c.recoveries_prefill, c.recoveries_decode);
  }
  std::string operator()(const SetRequestTimer&) const { return {}; }
};

using Lines = std::vector<std::string>;
inline Lines lines(const RequestCommands& commands) {
  Lines all;
  for (const RequestCommand& command : commands) {
    std::string line = std::visit(CommandText{}, command);
    if (!line.empty()) all.push_back(std::move(line));
  }
  return all;
}

inline std::optional<Instant> timer_of(const RequestCommands& commands) {
  std::optional<Instant> timer;
  for (const RequestCommand& command : commands) {
    if (const auto* set = std::get_if<SetRequestTimer>(&command)) timer = set->at;
  }
  return timer;
}

// The request 128 with the prompt "abc", until a case says otherwise.
inline RequestSpec plain_request() {
  RequestSpec spec{.id = RequestId{128}, .gateway = instance("G"), .prompt = letters("abc")};
  spec.sampling.max_tokens = 8;
  return spec;
}

inline Assigned assigned(RequestKey key, const std::string& prefill, const std::string& decode,
                         HandOffMode mode = HandOffMode::pull) {
  return {.key = key, .prefill = instance(prefill), .decode = instance(decode), .mode = mode};
}

// A core with its invariants checked after every event, and what it said as lines.
class TestRequest {
 public:
  explicit TestRequest(RequestSpec spec = plain_request()) : core_(std::move(spec), std::make_shared<LetterTokenizer>()) {}

  template <class Event>
  Lines on(const Event& event, Instant now = at(1)) { return finish(core_.on(event, now)); }
  Lines on(const std::string& from, const TokenOut& event, Instant now = at(1)) {
    return finish(core_.on(instance(from), event, now));
  }
  // Started, assigned and with `output` delivered by `decode` beyond the first letter, which comes from `prefill`.
  void play(const std::string& prefill, const std::string& decode, const std::string& output) {
    on(StartRequest{}, at(0));
    on(assigned(key(128, 1), prefill, decode), at(0));
    for (std::uint32_t i = 0; i < output.size(); ++i) on(i == 0 ? prefill : decode, token(key(128, 1), 0, i, output[i]), at(0));
  }
  RequestCore& core() { return core_; }
  std::optional<Instant> timer() const { return timer_; }

 private:
  Lines finish(const RequestCommands& commands) {
    core_.check_invariants();
    if (const auto set = timer_of(commands)) timer_ = set;
    return lines(commands);
  }
  RequestCore core_;
  std::optional<Instant> timer_;
};

}  // namespace baton
