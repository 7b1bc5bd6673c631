// A whole cluster in one thread and one order of events: requests, scheduler and instances, the real cores of each, over the network of
// fake_cluster_helpers.h. Faults: an instance dies (with all its messages to come) and may come back in a new life, so may the
// scheduler; messages between parties arrive a second time, at any time; KV links break, alone. A run is a function of its seed.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cluster/request_core.h"
#include "runtime/cluster/scheduler_core.h"
#include "runtime/text/tokenizer.h"
#include "tests/runtime/instance/fake_cluster_helpers.h"

namespace baton::testing {

inline constexpr InstanceRef kGatewayNode{InstanceId{1000}, Incarnation{1}};
inline constexpr InstanceRef kSchedulerNode{InstanceId{2000}, Incarnation{1}};

// A token's text is its number. Enough for streams that are compared by token.
class NumberTokenizer final : public Tokenizer {
 public:
  explicit NumberTokenizer(std::vector<TokenId> eos) : eos_(std::move(eos)) {}
  std::vector<TokenId> encode(std::string_view, EncodeOptions) const override { return {}; }
  std::optional<std::string> bytes_of(TokenId token, bool) const override { return std::to_string(token) + " "; }
  std::uint32_t vocabulary() const override { return static_cast<std::uint32_t>(kFakeVocabulary); }
  bool is_special(TokenId) const override { return false; }
  std::optional<TokenId> special(std::string_view) const override { return std::nullopt; }
  const std::vector<TokenId>& eos_tokens() const override { return eos_; }
  std::optional<TokenId> bos() const override { return std::nullopt; }

 private:
  std::vector<TokenId> eos_;
};

class SimulatedCluster {
 public:
  struct Stream {
    RequestSpec spec;
    RequestCore core;
    std::map<std::uint32_t, std::vector<TokenId>> output;      // by choice
    std::optional<RequestOutcome> outcome;
  };

  SimulatedCluster(std::uint64_t seed, HandOffMode mode) : net(seed), options_{.hand_off = mode, .seed = seed} {
    scheduler_.emplace(options_);
    net.to_gateway = [this](InstanceRef to, const InstanceCommand& command) {
      if (to == kGatewayNode) from_instance(command);
    };
    net.to_scheduler = [this](const LoadReport& report) {
      tell_scheduler(report.self, [this, report] { scheduler_->on(report, net.now()); });
    };
  }

  void add(InstanceOptions options) {
    Hello hello;
    hello.self = options.self;
    hello.role = options.role;
    hello.kv.model_fingerprint = kFakeModel;
    hello.kv.block_tokens = options.block_tokens;
    hello.max_model_len = options.max_model_len;
    hello.blocks_total = options.blocks;
    hellos_[hello.self] = hello;
    join(hello);
    net.add(options);
  }

  void crash(InstanceRef instance) {
    net.crash(instance);
    tell_scheduler(instance, [this, instance] { scheduler_->on(InstanceLeft{instance}, net.now()); });
    net.post({instance, kGatewayNode}, [this, instance] {
      for (auto& [id, stream] : streams_) on(stream, InstanceLost{instance});
    });
  }

  // With all that it knew and all that was on its way to it.
  void crash_scheduler() {
    scheduler_.reset();
    ++scheduler_life_;
  }
  void restart_scheduler() {
    scheduler_.emplace(options_);
    for (const auto& node : net.nodes()) {
      join(hellos_.at(node->options.self));
      tell_scheduler(node->options.self, [this, report = node->core.load()] { scheduler_->on(report, net.now()); });
    }
  }

  void start(RequestSpec spec) {
    const RequestId id = spec.id;
    auto tokenizer = std::make_shared<NumberTokenizer>(std::vector<TokenId>{1, 2, 3});
    Stream& stream = streams_.emplace(id, Stream{spec, RequestCore(spec, tokenizer), {}, {}}).first->second;
    on(stream, StartRequest{});
  }

  bool all_over() const {
    return std::ranges::all_of(streams_, [](const auto& entry) { return entry.second.outcome.has_value(); });
  }
  std::map<RequestId, Stream>& streams() { return streams_; }

  FakeCluster net;

 private:
  // Unless it dies before the message arrives.
  void tell_scheduler(InstanceRef from, std::function<void()> deliver) {
    net.post({from, kSchedulerNode}, [this, life = scheduler_life_, deliver = std::move(deliver)] {
      if (scheduler_ && life == scheduler_life_) deliver();
    });
  }
  void join(const Hello& hello) {
    tell_scheduler(hello.self, [this, hello] { scheduler_->on(InstanceJoined{hello}, net.now()); });
  }
  Stream* owner_of(RequestKey key) {
    const auto found = streams_.find(RequestId{key.request.value - key.request.value % kChoiceStride});
    return found == streams_.end() ? nullptr : &found->second;
  }

  template <class Event>
  void on(Stream& stream, const Event& event) { apply(stream, stream.core.on(event, net.now())); }

  void from_instance(const InstanceCommand& command) {
    if (const auto* m = std::get_if<SendTo<StepTokens>>(&command)) {
      for (const TokenOut& token : m->message.tokens) {
        if (Stream* stream = owner_of(token.key)) apply(*stream, stream->core.on(m->message.from, token, net.now()));
      }
    }
    if (const auto* m = std::get_if<SendTo<PromptScores>>(&command)) on(*owner_of(m->message.key), m->message);
    if (const auto* m = std::get_if<SendTo<AttemptFailed>>(&command)) on(*owner_of(m->message.key), m->message);
  }

  void apply(Stream& stream, const RequestCommands& commands) {
    for (const RequestCommand& command : commands) {
      CHECK(!stream.outcome, "a command after the last");
      std::visit([&](const auto& c) { carry_out(stream, c); }, command);
    }
    stream.core.check_invariants();
  }
  void carry_out(Stream&, const SendAssign& c) {
    tell_scheduler(kGatewayNode, [this, c] { answer(scheduler_->on(kGatewayNode, c.message, net.now())); });
  }
  void carry_out(Stream&, const SendEnded& c) {
    tell_scheduler(kGatewayNode, [this, c] { answer(scheduler_->on(kGatewayNode, c.message, net.now())); });
  }
  template <class Message>
  void carry_out(Stream& stream, const SendToInstance<Message>& c) {
    if (net.find(c.to) != nullptr) return net.send(kGatewayNode, c.to, c.message);
    const RequestId id = stream.spec.id;
    net.post({c.to, kGatewayNode}, [this, id, to = c.to] { on(streams_.at(id), InstanceLost{to}); });
  }
  void carry_out(Stream& stream, const EmitToken& c) {
    for (const ScoredToken& token : c.tokens) stream.output[c.choice].push_back(token.chosen.token);
  }
  void carry_out(Stream&, const EmitPromptScores&) {}
  void carry_out(Stream& stream, const RequestOutcome& c) {
    stream.outcome = c;
    net.alarms.erase(stream.spec.id.value);
  }
  void carry_out(Stream& stream, const SetRequestTimer& c) {
    const RequestId id = stream.spec.id;
    net.alarms[id.value] = {c.at, [this, id] { on(streams_.at(id), RequestTick{}); }};
  }

  void answer(const SchedulerCommands& commands) {
    scheduler_->check_invariants();
    for (const SchedulerCommand& command : commands) {
      net.post({kSchedulerNode, kGatewayNode}, [this, command] {
        std::visit([this](const auto& c) { if (Stream* stream = owner_of(c.message.key)) on(*stream, c.message); }, command);
      });
    }
  }

  SchedulerOptions options_;
  std::optional<SchedulerCore> scheduler_;           // nothing: it is away
  std::uint64_t scheduler_life_ = 0;
  std::map<InstanceRef, Hello> hellos_;
  std::map<RequestId, Stream> streams_;
};

}  // namespace baton::testing
