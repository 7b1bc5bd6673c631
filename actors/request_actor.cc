#include "actors/request_actor.h"

#include "actors/caf_types.h"

namespace baton {
namespace {

class RequestShell {
 public:
  RequestShell(caf::event_based_actor* self, caf::actor hub, RequestSpec spec, std::shared_ptr<gateway::RequestSink> sink,
               std::shared_ptr<const Tokenizer> tokenizer)
      : self_(self), hub_(std::move(hub)), id_(spec.id), core_(std::move(spec), std::move(tokenizer)), sink_(std::move(sink)) {
    feed(StartRequest{});
  }

  template <class Event>
  void feed(const Event& event) {
    apply(core_.on(event, steady_now()));
  }
  void feed(const TokenArrived& arrived) {
    apply(core_.on(arrived.step->from, arrived.step->tokens[arrived.index], steady_now()));
  }
  void alarm() {
    const LazyTimer::Rung rung = timer_.ring(steady_now());
    if (rung.alarm) send_alarm(self_, *rung.alarm);
    if (rung.due) feed(RequestTick{});
  }

 private:
  void apply(RequestCommands commands) {
    for (RequestCommand& command : commands) std::visit([this](auto& c) { carry_out(c); }, command);
  }

  void carry_out(SendAssign& command) { self_->send(hub_, RouteToScheduler{caf::make_message(std::move(command.message))}); }
  void carry_out(SendEnded& command) { self_->send(hub_, RouteToScheduler{caf::make_message(command.message)}); }
  template <class Message>
  void carry_out(SendToInstance<Message>& command) {
    static_assert(kIsWireMessage<Message>);
    self_->send(hub_, RouteToInstance{command.to, caf::make_message(std::move(command.message))});
  }
  void carry_out(EmitToken& command) { sink_->on_token(command); }
  void carry_out(EmitPromptScores& command) { sink_->on_prompt_scores(command); }
  void carry_out(RequestOutcome& command) {
    sink_->on_outcome(command);
    self_->send(hub_, RequestGone{id_});
    self_->quit();
  }
  void carry_out(SetRequestTimer& command) {
    if (const auto alarm_at = timer_.want(command.at, steady_now())) send_alarm(self_, *alarm_at);
  }

  caf::event_based_actor* self_;
  caf::actor hub_;
  RequestId id_;
  RequestCore core_;
  std::shared_ptr<gateway::RequestSink> sink_;
  LazyTimer timer_;
};

}  // namespace

caf::actor spawn_request(caf::event_based_actor* hub, RequestSpec spec, std::shared_ptr<gateway::RequestSink> sink,
                         std::shared_ptr<const Tokenizer> tokenizer) {
  const auto hub_handle = caf::actor_cast<caf::actor>(caf::actor_cast<caf::strong_actor_ptr>(hub));
  auto given = std::make_shared<RequestSpec>(std::move(spec));
  return hub->spawn([=](caf::event_based_actor* self) -> caf::behavior {
    drop_unexpected(self);
    auto s = std::make_shared<RequestShell>(self, hub_handle, std::move(*given), sink, tokenizer);
    return {
        [s](const TokenArrived& m) { s->feed(m); },
        [s](const Assigned& m) { s->feed(m); },
        [s](const AssignRefused& m) { s->feed(m); },
        [s](const PromptScores& m) { s->feed(m); },
        [s](const AttemptFailed& m) { s->feed(m); },
        [s](const InstanceLost& m) { s->feed(m); },
        [s](const CancelByClient& m) { s->feed(m); },
        [s](AlarmRang) { s->alarm(); },
    };
  });
}

}  // namespace baton
