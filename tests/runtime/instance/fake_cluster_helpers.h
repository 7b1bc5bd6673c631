// Instances that talk over an in-memory network: cores driven event by event, in an order drawn from a seed. What one party
// sends another arrives in order (as over CAF); everything else may overtake everything else. Invariants are checked after
// every event.
//
// The fabric is as lazy as a real one may be: bytes are read from the sender's arena when a slot is delivered, not when it is
// sent, and a step touches its blocks when it completes. So a block that is given away too early shows as a wrong digest or a
// wrong token.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/instance/instance_core.h"
#include "tests/runtime/instance/fake_device_helpers.h"

namespace baton::testing {

class FakeCluster {
 public:
  explicit FakeCluster(std::uint64_t seed) : random_(seed) {}

  struct Node {
    InstanceOptions options;
    InstanceCore core;
    FakeDevice device;
    struct Send {                                      // sender's side of a transfer
      SendBlocks what;
      std::vector<std::uint32_t> slots;                // still to be delivered
      bool closed = false;
      bool failed = false;
    };
    std::map<TransferId, Send> sends;
    std::map<TransferId, AcceptTransfer> grants;       // receiver's side, live
    std::map<TransferId, std::uint32_t> landed;
    std::set<std::pair<TransferId, std::uint32_t>> sent;
    std::optional<StartStep> step;
    std::optional<Instant> timer;
    explicit Node(InstanceOptions o) : options(o), core(o), device(o.layers, o.blocks, o.block_tokens) {}
  };

  Node& add(InstanceOptions options) {
    nodes_.push_back(std::make_unique<Node>(options));
    Node& node = *nodes_.back();
    apply(node, node.core.on(Tick{}, now_));
    for (const auto& other : nodes_) {
      if (other->options.self == options.self) continue;
      send(options.self, other->options.self, PeerUp{options.self});
      send(other->options.self, options.self, PeerUp{other->options.self});
    }
    return node;
  }
  Node* find(InstanceRef ref) {
    for (auto& node : nodes_) if (node->options.self == ref) return node.get();
    return nullptr;
  }

  // A party that is no instance: when its timer is due, and what happens then.
  struct Alarm {
    Instant at;
    std::function<void()> ring;
  };
  std::map<std::uint64_t, Alarm> alarms;
  std::function<void(const LoadReport&)> to_scheduler = [](const LoadReport&) {};
  std::uint64_t duplicate_one_in = 0;                  // of the messages between parties, delivered again at any time; 0: none

  // Everything for parties that are not instances.
  std::function<void(InstanceRef to, const InstanceCommand&)> to_gateway = [](InstanceRef, const InstanceCommand&) {};

  template <class Message>
  void send(InstanceRef from, InstanceRef to, Message message) {
    if (silent.contains({from, to})) return;
    const auto deliver = [this, to, message] {
      Node* node = find(to);
      if (node != nullptr) apply(*node, node->core.on(message, now_));
    };
    post({from, to}, deliver);
    if (duplicate_one_in > 0 && random_.below(duplicate_one_in) == 0) post_unordered(deliver);
  }
  void post_unordered(std::function<void()> deliver) { post({InstanceRef{}, {InstanceId{++unordered_}, {}}}, std::move(deliver)); }
  void post(std::pair<InstanceRef, InstanceRef> channel, std::function<void()> deliver) {
    channels_[channel].push_back(std::move(deliver));
  }

  void crash(InstanceRef ref) {
    std::erase_if(nodes_, [&](const auto& node) { return node->options.self == ref; });
    for (auto& node : nodes_) send(ref, node->options.self, PeerDown{ref});
  }

  // The link between two instances over which KV moves. When it is cut, what was under way fails and both hear of it; until it is
  // mended whatever is sent fails at once, and only the sender hears of that.
  void cut_kv(InstanceRef a, InstanceRef b) {
    kv_cuts_.insert(std::minmax(a, b));
    for (const auto& [self, other] : {std::pair{a, b}, std::pair{b, a}}) {
      Node* node = find(self);
      if (node == nullptr) continue;
      for (auto& [transfer, send] : node->sends) if (send.what.to == other) fail_send(send);
      std::erase_if(node->grants, [&, self = self, other = other](const auto& grant) {
        if (grant.second.from == other) post_own(self, TransferFailed{grant.first, {}});
        return grant.second.from == other;
      });
      post_own(self, KvLinkDown{other});
    }
  }
  void mend_kv(InstanceRef a, InstanceRef b) {
    kv_cuts_.erase(std::minmax(a, b));
    post_own(a, KvLinkUp{b});
    post_own(b, KvLinkUp{a});
  }

  // One event, drawn; false if nothing is left but timers.
  bool step() {
    std::vector<std::function<void()>> ready;
    for (auto& [channel, queue] : channels_) if (!queue.empty()) ready.push_back([&queue = queue] { take_first(queue); });
    for (auto& node : nodes_) collect(*node, ready);
    if (ready.empty()) return false;
    now_ = now_ + Duration{50'000};
    ready[random_.below(ready.size())]();
    check();
    return true;
  }
  // Moves time to the next timer.
  bool tick() {
    Node* first = nullptr;
    for (auto& node : nodes_) if (node->timer && (first == nullptr || *node->timer < *first->timer)) first = node.get();
    const auto alarm = std::ranges::min_element(alarms, {}, [](const auto& entry) { return entry.second.at; });
    if (alarm != alarms.end() && (first == nullptr || alarm->second.at < *first->timer)) {
      now_ = std::max(now_, alarm->second.at);
      ring(alarm->first);
      return true;
    }
    if (first == nullptr) return false;
    now_ = std::max(now_, *first->timer);
    first->timer.reset();
    apply(*first, first->core.on(Tick{}, now_));
    check();
    return true;
  }
  // Until `done`, or `limit` of time has passed.
  bool run_until(const std::function<bool()>& done, Duration limit = Milliseconds{60000}) {
    const Instant end = now_ + limit;
    while (!done() && now_ < end) {
      if (!step() && !tick()) return done();
      fire_due();
    }
    return done();
  }

  Instant now() const { return now_; }
  Random& random() { return random_; }
  const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  std::uint64_t slots_rejected = 0;
  std::uint64_t flip_every = 0;                        // corrupt each nth delivered slot; 0: none
  std::uint64_t fail_one_send_in = 0;                  // of the slots sent, at which their whole transfer breaks off; 0: none
  std::uint64_t sends_failed = 0;
  std::set<std::pair<InstanceRef, InstanceRef>> silent;      // (from, to): instances whose messages are lost, without notice

 private:
  // What a node's own fabric tells it.
  template <class Event>
  void post_own(InstanceRef self, Event event) {
    post({self, self}, [this, self, event] {
      if (Node* node = find(self)) apply(*node, node->core.on(event, now_));
    });
  }

  static void take_first(std::deque<std::function<void()>>& queue) {
    auto deliver = std::move(queue.front());
    queue.pop_front();
    deliver();
  }

  void ring(std::uint64_t id) {
    const Alarm alarm = std::move(alarms.at(id));
    alarms.erase(id);
    alarm.ring();
  }

  void fire_due() {
    for (auto at = alarms.begin(); at != alarms.end();) {
      const std::uint64_t id = at->first;
      if (at->second.at <= now_) ring(id);
      at = alarms.upper_bound(id);
    }
    for (auto& node : nodes_) {
      if (!node->timer || *node->timer > now_) continue;
      node->timer.reset();
      apply(*node, node->core.on(Tick{}, now_));
    }
    check();
  }

  void collect(Node& node, std::vector<std::function<void()>>& ready) {
    if (node.step) ready.push_back([this, &node] { complete_step(node); });
    for (auto& [transfer, send] : node.sends) {
      if (!send.slots.empty()) {
        ready.push_back([this, &node, transfer = transfer] { deliver_slot(node, transfer); });
      } else if (send.closed) {
        ready.push_back([this, &node, transfer = transfer] {
          const bool failed = node.sends.extract(transfer).mapped().failed;
          apply(node, node.core.on(SendsComplete{transfer, failed}, now_));
        });
      }
    }
  }

  void complete_step(Node& node) {
    const StartStep step = *std::exchange(node.step, std::nullopt);
    StepDone done = node.device.run(step);
    for (const StepSequence& part : step.sequences) {
      for (const PushPlan& plan : part.push) {
        const auto found = node.sends.find(plan.transfer);
        CHECK(found != node.sends.end(), "a plan names a transfer that is not open");
        const auto blocks = static_cast<std::uint32_t>(found->second.what.blocks.size());
        for (std::uint32_t layer = 0; layer < node.options.layers; ++layer) {
          for (std::uint32_t ordinal = plan.block_begin; ordinal < plan.block_end; ++ordinal) {
            queue_slot(node, plan.transfer, layer * blocks + ordinal);
          }
        }
        found->second.closed = plan.last;
      }
    }
    apply(node, node.core.on(done, now_));
  }

  void queue_slot(Node& node, TransferId transfer, std::uint32_t slot) {
    CHECK(node.sent.emplace(transfer, slot).second, "slot {} is sent twice", slot);
    Node::Send& send = node.sends.at(transfer);
    if (!send.failed) send.slots.push_back(slot);
  }
  void fail_send(Node::Send& send) {
    send.failed = true;
    send.slots.clear();
    ++sends_failed;
  }

  void deliver_slot(Node& from, TransferId transfer) {
    Node::Send& send = from.sends.at(transfer);
    if (fail_one_send_in > 0 && random_.below(fail_one_send_in) == 0) return fail_send(send);
    const std::size_t pick = random_.below(send.slots.size());
    const std::uint32_t slot = send.slots[pick];
    send.slots.erase(send.slots.begin() + static_cast<std::ptrdiff_t>(pick));
    const auto blocks = static_cast<std::uint32_t>(send.what.blocks.size());
    const std::uint32_t layer = slot / blocks, ordinal = slot % blocks;
    std::vector<std::uint64_t> bytes = from.device.read(layer, send.what.blocks[ordinal], ordinal, send.what.tokens);
    const std::uint64_t sent_digest = FakeDevice::digest(bytes, send.what.prefix[ordinal], layer);
    if (flip_every > 0 && ++delivered_ % flip_every == 0) bytes[0] ^= 1;
    Node* to = find(send.what.to);
    if (to == nullptr) return;
    const auto grant = to->grants.find(transfer);
    if (grant == to->grants.end() || grant->second.from != from.options.self) return;
    const std::uint64_t digest = FakeDevice::digest(bytes, grant->second.prefix.at(ordinal), layer);
    if (digest != sent_digest) {
      ++slots_rejected;
      apply(*to, to->core.on(SlotRejected{transfer, slot}, now_));
      return;
    }
    to->device.write(layer, grant->second.blocks.at(ordinal), bytes);
    if (++to->landed[transfer] == blocks * to->options.layers) to->grants.erase(grant);      // a grant ends with its last slot
    apply(*to, to->core.on(SlotsLanded{transfer, {slot}, {digest}}, now_));
  }

  void apply(Node& node, InstanceCommands commands) {
    for (InstanceCommand& command : commands) {
      std::visit([&](auto& c) { carry_out(node, c); }, command);
    }
  }
  template <class Message>
  void carry_out(Node& node, SendTo<Message>& c) {
    if (find(c.to) != nullptr) {
      if constexpr (requires { node.core.on(c.message, now_); }) return send(node.options.self, c.to, c.message);
    }
    const auto deliver = [this, c] { to_gateway(c.to, InstanceCommand{c}); };
    post({node.options.self, c.to}, deliver);
    if (duplicate_one_in > 0 && random_.below(duplicate_one_in) == 0) post_unordered(deliver);
  }
  void carry_out(Node&, LoadReport& c) { to_scheduler(c); }
  void carry_out(Node& node, StartStep& c) {
    CHECK(!node.step, "two steps at once");
    std::uint32_t tokens = 0;
    for (const auto& part : c.sequences) tokens += static_cast<std::uint32_t>(part.tokens.size());
    CHECK(tokens > 0 && tokens <= node.options.max_step_tokens, "a step of {} tokens", tokens);
    node.step = std::move(c);
  }
  void carry_out(Node& node, AcceptTransfer& c) {
    CHECK(node.grants.emplace(c.transfer, c).second, "a transfer id is used twice");
  }
  void carry_out(Node& node, DropTransfer& c) { node.grants.erase(c.transfer); }
  void carry_out(Node& node, SendBlocks& c) {
    const TransferId transfer = c.transfer;
    Node::Send& send = node.sends.emplace(transfer, Node::Send{c}).first->second;
    CHECK(send.slots.empty() && !send.closed, "a transfer is sent twice");
    if (kv_cuts_.contains(std::minmax(node.options.self, c.to))) fail_send(send);
    if (c.by_layer) return;
    for (std::uint32_t slot = 0; slot < node.options.layers * c.blocks.size(); ++slot) queue_slot(node, transfer, slot);
    node.sends.at(transfer).closed = true;
  }
  void carry_out(Node& node, AbortSends& c) {
    const auto found = node.sends.find(c.transfer);
    if (found == node.sends.end()) return;
    node.sends.erase(found);
    post_own(node.options.self, SendsComplete{c.transfer, true});
  }
  void carry_out(Node& node, SetTimer& c) { node.timer = c.at; }

  void check() {
    for (auto& node : nodes_) node->core.check_invariants();
  }

  Random random_;
  Instant now_{1'000'000'000};
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<std::pair<InstanceRef, InstanceRef>, std::deque<std::function<void()>>> channels_;
  std::set<std::pair<InstanceRef, InstanceRef>> kv_cuts_;      // the smaller first
  std::uint64_t delivered_ = 0, unordered_ = 0;
};

}  // namespace baton::testing
