#include "transport/fake_fabric.h"

#include <algorithm>
#include <utility>

#include "transport/fake_endpoint.h"
#include "transport/fake_hub_state.h"

namespace baton::transport {

FakeFabric* FakeHub::State::find(PeerId peer) const {
  const auto found = fabrics.find(peer);
  return found == fabrics.end() ? nullptr : found->second;
}

void FakeHub::State::post(PeerId peer, std::int64_t delay_ns, std::function<void(FakeFabric&)> event) {
  const FakeFabric* const there = find(peer);
  if (there == nullptr) return;
  events_.emplace(When{deadline_after(now, delay_ns), ++posted_}, Event{peer, there->life(), std::move(event)});
}

bool FakeHub::State::step() {
  expire();
  while (!events_.empty() && events_.begin()->first.first <= now) {
    Event event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    FakeFabric* const there = find(event.peer);
    if (there == nullptr || there->life() != event.life) continue;
    if (frozen.contains(event.peer)) {
      held_[event.peer].push_back(std::move(event));
      continue;
    }
    event.run(*there);
    return true;
  }
  return false;
}

void FakeHub::State::advance(std::int64_t ns) {
  const std::int64_t end = deadline_after(now, ns);
  for (;;) {
    while (step()) {
    }
    const std::int64_t next = std::min(events_.empty() ? kNever : events_.begin()->first.first, next_deadline());
    if (next > end) break;
    now = std::max(now, next);
  }
  now = end;
}

std::int64_t FakeHub::State::next_deadline() const {
  std::int64_t next = kNever;
  for (const auto& [peer, fabric] : fabrics) {
    if (!frozen.contains(peer)) next = std::min(next, fabric->next_deadline());
  }
  return next;
}

void FakeHub::State::expire() {
  for (const auto& [peer, fabric] : fabrics) {
    if (!frozen.contains(peer)) fabric->expire_grants();
  }
}

void FakeHub::State::thaw(PeerId peer) {
  frozen.erase(peer);
  for (Event& event : held_[peer]) events_.emplace(When{now, ++posted_}, std::move(event));
  held_.erase(peer);
}

FakeHub::FakeHub() : FakeHub(Options{}) {}
FakeHub::FakeHub(Options options) : state_(std::make_unique<State>(*this, options)) {}
FakeHub::~FakeHub() = default;

std::unique_ptr<Fabric> FakeHub::open(FabricOptions options, FabricListener* listener) {
  return std::make_unique<FakeFabric>(*state_, std::move(options), listener);
}

bool FakeHub::step() { return state_->step(); }

void FakeHub::run() {
  while (step()) {
  }
}

void FakeHub::advance(std::int64_t ns) { state_->advance(ns); }
std::int64_t FakeHub::now_ns() const { return state_->now; }
void FakeHub::freeze(PeerId peer) { state_->frozen.insert(peer); }
void FakeHub::thaw(PeerId peer) { state_->thaw(peer); }

void FakeHub::cut(PeerId a, PeerId b) {
  state_->post(a, 0, [b](FakeFabric& there) { there.fail_peer(b, "the connection broke", false); });
}

}  // namespace baton::transport
