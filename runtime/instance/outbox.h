// The commands of one event, in order. Tokens are gathered by gateway and leave in one message each: control traffic is
// O(gateways).
#pragma once

#include <map>
#include <utility>

#include "runtime/instance/instance_events.h"

namespace baton {

class Outbox {
 public:
  explicit Outbox(InstanceRef self) : self_(self) {}

  void add(InstanceCommand command) { commands_.push_back(std::move(command)); }

  template <class Message>
  void send(InstanceRef to, Message message) {
    add(SendTo<Message>{to, std::move(message)});
  }

  void token(InstanceRef gateway, TokenOut token) { tokens_[gateway].push_back(std::move(token)); }

  void flush_tokens() {
    for (auto& [gateway, tokens] : tokens_) send(gateway, StepTokens{self_, std::move(tokens)});
    tokens_.clear();
  }

  InstanceCommands take() {
    flush_tokens();
    return std::exchange(commands_, {});
  }

 private:
  InstanceRef self_;
  InstanceCommands commands_;
  std::map<InstanceRef, std::vector<TokenOut>> tokens_;
};

}  // namespace baton
