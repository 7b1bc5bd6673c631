#include "runtime/cluster/load_table.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace baton {

std::uint32_t LoadTable::kv_class_of(const KvIdentity& identity) {
  const auto place = std::find(kv_identities_.begin(), kv_identities_.end(), identity);
  if (place == kv_identities_.end()) {
    kv_identities_.push_back(identity);
    return kv_classes() - 1;
  }
  return static_cast<std::uint32_t>(place - kv_identities_.begin());
}

LoadTable::Instance* LoadTable::find(const InstanceRef& instance) {
  const auto place = index_.find(instance.id);
  if (place == index_.end() || instances_[place->second].hello.self != instance) return nullptr;
  return &instances_[place->second];
}

void LoadTable::refresh(const Instance& instance) {
  const auto place = static_cast<std::size_t>(&instance - instances_.data());
  const LoadReport& report = instance.report;
  const std::uint32_t total = instance.reported ? report.blocks_total : instance.hello.blocks_total;
  const std::uint64_t block_tokens = std::max(instance.hello.kv.block_tokens, 1u);
  const auto blocks_free = [&](std::uint64_t used) { return total - static_cast<std::uint32_t>(std::min<std::uint64_t>(used, total)); };
  const std::uint32_t reported_requests = report.waiting + report.running;
  const Role role = instance.hello.role;
  standings_[place] = {instance.heard, instance.waiting(), instance.kv_class, can_prefill(role), can_decode(role), report.draining,
                       instance.full(), !report.unreachable.empty()};

  prefill_loads_[place] = {.id = instance.hello.self.id,
                           .pending_tokens = report.pending_prefill_tokens + instance.recent_tokens,
                           .running = std::max(reported_requests + instance.unreported(), instance.owed_requests),
                           .blocks_free = blocks_free(report.blocks_used + instance.recent_tokens / block_tokens),
                           .blocks_total = total};
  decode_loads_[place] = {.id = instance.hello.self.id,
                          .pending_tokens = std::max(report.context_tokens, instance.owed_tokens),
                          .running = std::max(reported_requests, instance.owed_requests),
                          .blocks_free = blocks_free(std::max<std::uint64_t>(report.blocks_used, instance.owed_tokens / block_tokens)),
                          .blocks_total = total};
}

bool LoadTable::join(const Hello& hello, Instant now) {
  const auto known = index_.find(hello.self.id);
  if (known != index_.end()) {
    Instance& instance = instances_[known->second];
    if (hello.self == instance.hello.self) {
      instance.hello = hello;
      instance.heard = now;
      refresh(instance);
      return false;
    }
    leave(InstanceRef{instance.hello.self});
  }
  index_[hello.self.id] = static_cast<std::uint32_t>(instances_.size());
  instances_.push_back({.hello = hello, .kv_class = kv_class_of(hello.kv), .heard = now});
  standings_.emplace_back();
  prefill_loads_.emplace_back();
  decode_loads_.emplace_back();
  refresh(instances_.back());
  return true;
}

bool LoadTable::leave(const InstanceRef& instance) {
  if (find(instance) == nullptr) return false;
  forget_if([&](const Entry& entry) { return entry.assigned.prefill == instance || entry.assigned.decode == instance; });
  const std::uint32_t place = index_[instance.id];
  index_.erase(instance.id);
  const auto last = static_cast<std::uint32_t>(instances_.size()) - 1;
  if (place != last) {
    instances_[place] = std::move(instances_[last]);
    index_[instances_[place].hello.self.id] = place;
    refresh(instances_[place]);
  }
  instances_.pop_back();
  standings_.pop_back();
  prefill_loads_.pop_back();
  decode_loads_.pop_back();
  return true;
}

void LoadTable::report(const LoadReport& report, Instant now) {
  Instance* instance = find(report.self);
  if (instance == nullptr || (instance->reported && report.sequence <= instance->report.sequence)) return;
  instance->report = report;
  instance->reported = true;
  instance->heard = now;
  while (!instance->recent.empty() && instance->recent.front().at + kReportDelay <= now) {
    const auto place = ledger_.find(instance->recent.front().key);
    instance->recent.pop_front();
    if (place != ledger_.end()) no_longer_recent(place->second);
  }
  for (const Instance::Recent& recent : instance->recent) {
    const auto place = ledger_.find(recent.key);
    if (place == ledger_.end() || !place->second.recent || place->second.assigned.prefill != report.self) continue;
    if (!std::exchange(place->second.maybe_reported, true)) ++instance->maybe_reported;
  }
  refresh(*instance);
}

bool LoadTable::can_reach(std::uint32_t a, std::uint32_t b) const {
  const auto missed_by = [&](std::uint32_t one, std::uint32_t other) {
    const auto& unreachable = instances_[one].report.unreachable;
    return std::find(unreachable.begin(), unreachable.end(), instances_[other].hello.self) != unreachable.end();
  };
  return !missed_by(a, b) && !missed_by(b, a);
}

void LoadTable::no_longer_recent(Entry& entry) {
  Instance* prefill = find(entry.assigned.prefill);
  if (!std::exchange(entry.recent, false) || prefill == nullptr) return;
  prefill->recent_tokens -= entry.prompt_tokens;
  --prefill->recent_requests;
  if (entry.maybe_reported) --prefill->maybe_reported;
}

const Assigned* LoadTable::find(const InstanceRef& gateway, RequestKey key) const {
  const auto place = ledger_.find(key);
  return place == ledger_.end() || place->second.gateway != gateway ? nullptr : &place->second.assigned;
}

void LoadTable::assign(const InstanceRef& gateway, const AssignRequest& request, const Assigned& assigned, Instant now) {
  const auto known = ledger_.find(request.key);
  if (known != ledger_.end()) forget(known);
  Instance* prefill = find(assigned.prefill);
  Instance* decode = find(assigned.decode);
  CHECK(prefill != nullptr && decode != nullptr, "assigned to an instance that is not there");
  const Entry entry{.gateway = gateway,
                    .assigned = assigned,
                    .prompt_tokens = request.prompt_tokens,
                    .total_tokens = std::uint64_t{request.prompt_tokens} + std::uint64_t{request.max_output_tokens} * request.choices,
                    .expires = now + request.time_left};
  prefill->recent_tokens += entry.prompt_tokens;
  ++prefill->recent_requests;
  prefill->recent.push_back({now, request.key});
  decode->owed_tokens += entry.total_tokens;
  ++decode->owed_requests;
  expiries_.push({entry.expires, request.key});
  ledger_.emplace(request.key, entry);
  refresh(*prefill);
  refresh(*decode);
}

void LoadTable::forget(std::unordered_map<RequestKey, Entry>::iterator place) {
  Entry& entry = place->second;
  no_longer_recent(entry);
  if (Instance* prefill = find(entry.assigned.prefill)) refresh(*prefill);
  if (Instance* decode = find(entry.assigned.decode)) {
    decode->owed_tokens -= entry.total_tokens;
    --decode->owed_requests;
    refresh(*decode);
  }
  ledger_.erase(place);
}

void LoadTable::ended(const InstanceRef& gateway, RequestKey key) {
  const auto place = ledger_.find(key);
  if (place != ledger_.end() && place->second.gateway == gateway) forget(place);
}

// What it changes are sums, so the order in which a hash table gives its entries does not show.
template <class Predicate>
void LoadTable::forget_if(Predicate predicate) {
  for (auto place = ledger_.begin(); place != ledger_.end();) {
    const auto next = std::next(place);
    if (predicate(place->second)) forget(place);
    place = next;
  }
}

void LoadTable::gateway_left(const InstanceRef& gateway) {
  forget_if([&](const Entry& entry) { return entry.gateway == gateway; });
}

void LoadTable::expire(Instant now) {
  while (!expiries_.empty() && expiries_.top().at <= now) {
    const auto place = ledger_.find(expiries_.top().key);
    if (place != ledger_.end() && place->second.expires <= now) forget(place);
    expiries_.pop();
  }
  // Most end long before their deadline; what is left of those is dropped now and then.
  if (expiries_.size() > 2 * ledger_.size() + 1024) {
    expiries_ = {};
    for (const auto& [key, entry] : ledger_) expiries_.push({entry.expires, key});
  }
}

void LoadTable::check_invariants() const {
  CHECK(standings_.size() == instances_.size() && prefill_loads_.size() == instances_.size() && decode_loads_.size() == instances_.size());
  CHECK(index_.size() == instances_.size());
  std::vector<std::uint64_t> recent(instances_.size()), maybe(instances_.size()), owed(instances_.size());
  for (const auto& [key, entry] : ledger_) {
    const auto prefill = index_.find(entry.assigned.prefill.id);
    const auto decode = index_.find(entry.assigned.decode.id);
    CHECK(prefill != index_.end() && decode != index_.end(), "an assignment outlives its instance");
    if (entry.recent) recent[prefill->second] += entry.prompt_tokens;
    if (entry.recent && entry.maybe_reported) ++maybe[prefill->second];
    owed[decode->second] += entry.total_tokens;
  }
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    CHECK(index_.at(instances_[i].hello.self.id) == i);
    CHECK(instances_[i].recent_tokens == recent[i], "instance {}: {} recent tokens, {} in the ledger", i,
          instances_[i].recent_tokens, recent[i]);
    CHECK(instances_[i].owed_tokens == owed[i]);
    CHECK(instances_[i].maybe_reported == maybe[i] && maybe[i] <= instances_[i].recent_requests);
  }
}

}  // namespace baton
