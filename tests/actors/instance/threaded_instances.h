// Instances without their actors: what an actor does is done by a thread with a mailbox, and everything else is as in a node: the
// device's worker, the fabric's thread over UCX, the core between them. No CAF, so that ThreadSanitizer sees every thread.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "actors/instance/instance_host.h"
#include "actors/steady_time.h"
#include "runtime/instance/instance_core.h"
#include "tests/actors/instance/fake_device.h"
#include "transport/ucx_fabric.h"

namespace baton {

// Whoever gets the messages of an instance. Called from its thread.
class Post {
 public:
  virtual ~Post() = default;
  virtual void deliver(const Offer& m) = 0;
  virtual void deliver(const Grant& m) = 0;
  virtual void deliver(const Withdraw& m) = 0;
  virtual void deliver(const RenewLease& m, InstanceRef to) = 0;
  virtual void deliver(const Release& m, InstanceRef to) = 0;
  virtual void deliver(const StepTokens& m) = 0;
  virtual void deliver(const AttemptFailed& m) = 0;
};

class ThreadedInstance {
 public:
  ThreadedInstance(InstanceOptions options, Post& post) : core_(options), post_(post) {
    hello_.self = options.self;
    hello_.role = options.role;
    hello_.data_token = options.self.incarnation.value;
    auto device = std::make_unique<FakeDevice>();
    EXPECT_TRUE(device->allocate_kv(options.blocks).ok());
    auto host = InstanceHost::make(
        std::move(device),
        [&](transport::FabricListener& listener) -> Result<std::unique_ptr<transport::Fabric>> {
          return std::move(transport::make_ucx_fabric({.self = peer_id(hello_.self), .token = hello_.data_token}, &listener).fabric);
        },
        {});
    EXPECT_TRUE(host.ok());
    host_ = std::move(*host);
    hello_.data_address = host_->data_address();
    host_->start([this](InstanceEvent event) {
      put([this, event = std::move(event)] { std::visit([this](const auto& e) { local(e); }, event); });
    });
    tell(Tick{});
    thread_ = std::thread([this] { loop(); });
  }
  ~ThreadedInstance() {
    host_->start(nullptr);
    put(nullptr);
    thread_.join();
  }

  const Hello& hello() const { return hello_; }
  transport::FabricStats fabric_stats() const { return host_->fabric_stats(); }

  template <class Event>
  void tell(Event event) {                         // from any thread
    put([this, event = std::move(event)] { apply(core_.on(event, steady_now())); });
  }
  void meet(const Hello& peer) {
    put([this, peer] {
      met_[peer_id(peer.self)] = peer.self;
      host_->connect(peer);
      apply(core_.on(PeerUp{peer.self}, steady_now()));
    });
  }
  void part(InstanceRef peer) {
    put([this, peer] {
      host_->disconnect(peer);
      apply(core_.on(PeerDown{peer}, steady_now()));
    });
  }

  // Everything it was told is done, and it holds nothing for anybody; its counters then.
  InstanceStats await_idle() {
    std::unique_lock lock{mutex_};
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds{60}, [this] { return idle_ && letters_.empty(); }));
    return stats_;
  }

 private:
  using Letter = std::function<void()>;

  void put(Letter letter) {
    const std::lock_guard lock{mutex_};
    letters_.push_back(std::move(letter));
    changed_.notify_all();
  }

  void loop() {
    std::unique_lock lock{mutex_};
    while (true) {
      const auto awake = [this] { return !letters_.empty(); };
      const bool told = alarm_ ? changed_.wait_for(lock, *alarm_ - steady_now(), awake) : (changed_.wait(lock, awake), true);
      Letter letter = [this] { apply(core_.on(Tick{}, steady_now())); };
      if (told) {
        letter = std::move(letters_.front());
        if (letter == nullptr) return;
      } else {
        alarm_.reset();
      }
      lock.unlock();
      letter();
      lock.lock();
      if (told) letters_.pop_front();
      idle_ = core_.idle();
      stats_ = core_.stats();
      changed_.notify_all();
    }
  }

  template <class Event>
  void local(const Event& event) {
    apply(core_.on(event, steady_now()));
  }
  void local(const SendsComplete& event) {
    host_->sends_completed(event.transfer);
    apply(core_.on(event, steady_now()));
  }
  void local(const FabricPeerReady& event) { apply(core_.on(KvLinkUp{met_.at(event.peer)}, steady_now())); }
  void local(const FabricPeerFailed&) {}           // those who test it part the two themselves

  void apply(InstanceCommands commands) {
    for (InstanceCommand& command : commands) std::visit([this](auto& c) { carry_out(c); }, command);
    core_.check_invariants();
  }
  void carry_out(SendTo<Offer>& c) { post_.deliver(c.message); }
  void carry_out(SendTo<Grant>& c) { post_.deliver(c.message); }
  void carry_out(SendTo<Withdraw>& c) { post_.deliver(c.message); }
  void carry_out(SendTo<RenewLease>& c) { post_.deliver(c.message, c.to); }
  void carry_out(SendTo<Release>& c) { post_.deliver(c.message, c.to); }
  void carry_out(SendTo<StepTokens>& c) { post_.deliver(c.message); }
  void carry_out(SendTo<PromptScores>&) {}
  void carry_out(SendTo<AttemptFailed>& c) { post_.deliver(c.message); }
  void carry_out(LoadReport&) {}
  void carry_out(SetTimer& c) { alarm_ = c.at; }
  template <class ForHost>
  void carry_out(ForHost& c) {
    host_->carry_out(std::move(c));
  }

  InstanceCore core_;                              // of the thread
  std::optional<Instant> alarm_;                   // of the thread
  std::map<transport::PeerId, InstanceRef> met_;   // of the thread
  Post& post_;
  Hello hello_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Letter> letters_;                     // guarded; the first one may be under way; null: the end
  bool idle_ = false;                              // guarded
  InstanceStats stats_;                            // guarded
  std::unique_ptr<InstanceHost> host_;
  std::thread thread_;
};

}  // namespace baton
