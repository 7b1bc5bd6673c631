#include "runtime/cluster/scheduler_core.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/random.h"
#include "runtime/cluster/load_table.h"
#include "runtime/cluster/routing_registry.h"
#include "runtime/kv/prefix_identity.h"

namespace baton {

struct SchedulerCore::State {
  SchedulerOptions options;
  std::unique_ptr<RoutingPolicy> routing;
  std::unique_ptr<AdmissionPolicy> admission;
  Random random{0};
  LoadTable table;

  // How fast requests end: for Retry-After.
  std::optional<Instant> last_end;
  double seconds_per_end = 0.0;

  // Of the decision in hand; kept so that a decision allocates nothing.
  std::vector<std::uint32_t> candidates;
  std::vector<std::uint8_t> class_decodes;       // by KV class: kNone, kFull, kReady
  std::vector<std::uint32_t> ready_decodes;
  bool some_apart = false;                       // somebody cannot reach somebody

  Result<Assigned> decide(const AssignRequest& request, Instant now);
  std::optional<Error> refusal(const AssignRequest& request, std::uint32_t prefill, std::uint32_t decode);
  bool usable(const LoadTable::Standing& instance, Instant now) const;
  void find_decodes(Instant now);
  std::uint32_t choose(Part part, const AssignRequest& request);
  std::optional<Error> gather_prefill(Instant now);
  void gather_decode(std::uint32_t prefill);
  Error queue_full(std::uint32_t waiting) const;
  void count_end(Instant now);
};

namespace {

constexpr std::uint8_t kNone = 0, kFull = 1, kReady = 2;
constexpr std::uint32_t kLongestRetryAfter = 60;

// Only those that suit, as long as there are any.
template <class Suits>
void prefer(std::vector<std::uint32_t>& candidates, Suits suits) {
  const auto split = std::stable_partition(candidates.begin(), candidates.end(), suits);
  if (split != candidates.begin()) candidates.erase(split, candidates.end());
}

}  // namespace

SchedulerCore::SchedulerCore(SchedulerOptions options) : state_(std::make_unique<State>()) {
  auto routing = make_routing(options.routing);
  CHECK(routing.ok(), "{}", routing.error().message);
  state_->routing = std::move(routing).value();
  auto admission = make_admission(options.admission, options.admission_options);
  CHECK(admission.ok(), "{}", admission.error().message);
  state_->admission = std::move(admission).value();
  state_->random = Random{options.seed};
  state_->options = std::move(options);
}

SchedulerCore::~SchedulerCore() = default;
SchedulerCore::SchedulerCore(SchedulerCore&&) noexcept = default;

bool SchedulerCore::State::usable(const LoadTable::Standing& instance, Instant now) const {
  return !instance.draining && now - instance.heard <= options.report_timeout;
}

void SchedulerCore::State::find_decodes(Instant now) {
  class_decodes.assign(table.kv_classes(), kNone);
  ready_decodes.clear();
  some_apart = false;
  const auto instances = table.standings();
  for (std::uint32_t i = 0; i < instances.size(); ++i) {
    const LoadTable::Standing& instance = instances[i];
    some_apart = some_apart || instance.apart;
    if (!instance.decodes || !usable(instance, now)) continue;
    if (!instance.full) ready_decodes.push_back(i);
    std::uint8_t& state = class_decodes[instance.kv_class];
    state = std::max(state, instance.full ? kFull : kReady);
  }
}

// Those that can take a prefill and go on with it: by themselves if mixed, else with a decode instance of the same KV identity.
std::optional<Error> SchedulerCore::State::gather_prefill(Instant now) {
  find_decodes(now);
  candidates.clear();
  std::uint32_t waiting = 0;
  bool alive = false, partnered = false;
  const auto instances = table.standings();
  for (std::uint32_t i = 0; i < instances.size(); ++i) {
    const LoadTable::Standing& instance = instances[i];
    if (!instance.prefills || !usable(instance, now)) continue;
    alive = true;
    const std::uint8_t decodes = class_decodes[instance.kv_class];
    if (decodes == kNone) continue;
    partnered = true;
    waiting += instance.waiting;
    const bool goes_on = instance.decodes || decodes == kReady;
    if (!instance.full && goes_on) candidates.push_back(i);
  }
  if (!alive) return Error{ErrorCode::unavailable, Scope::cluster, "no prefill or mixed instance is ready; see /cluster"};
  if (!partnered) {
    return Error{ErrorCode::unavailable, Scope::cluster,
                 "no decode instance that shares its KV with a prefill instance is ready; see /cluster"};
  }
  if (candidates.empty() || waiting >= options.max_waiting) return queue_full(waiting);
  if (some_apart) {
    prefer(candidates, [&](std::uint32_t i) {
      const auto partner = [&](std::uint32_t d) { return instances[d].kv_class == instances[i].kv_class && table.can_reach(i, d); };
      return instances[i].decodes || std::any_of(ready_decodes.begin(), ready_decodes.end(), partner);
    });
  }
  return std::nullopt;
}

// Those that share its KV; of them those that it can reach, as long as there are any.
void SchedulerCore::State::gather_decode(std::uint32_t prefill) {
  const auto instances = table.standings();
  candidates.clear();
  for (const std::uint32_t i : ready_decodes) {
    if (instances[i].kv_class == instances[prefill].kv_class) candidates.push_back(i);
  }
  if (some_apart) prefer(candidates, [&](std::uint32_t i) { return table.can_reach(prefill, i); });
}

Error SchedulerCore::State::queue_full(std::uint32_t waiting) const {
  // Until what is too much, and an eighth of the queue for others who come back, has ended.
  const double surplus = static_cast<double>(waiting) / 8 + (waiting > options.max_waiting ? waiting - options.max_waiting : 0);
  const double seconds = std::min(surplus * seconds_per_end, static_cast<double>(kLongestRetryAfter));
  Error error{ErrorCode::queue_full, Scope::cluster, fmt::format("{} requests wait already", waiting)};
  error.retry_after_s = std::max(1u, static_cast<std::uint32_t>(seconds + 0.999));
  return error;
}

// Among `candidates`, without those that just failed the request as long as others are left.
std::uint32_t SchedulerCore::State::choose(Part part, const AssignRequest& request) {
  const auto loads = table.loads(part);
  if (!request.avoid.empty()) {
    prefer(candidates, [&](std::uint32_t candidate) {
      return std::find(request.avoid.begin(), request.avoid.end(), loads[candidate].id) == request.avoid.end();
    });
  }
  const std::size_t names = std::min<std::size_t>(request.prefix.size(), PrefixNames::kMost);
  const RoutingQuestion question{.part = part,
                                 .prompt_tokens = request.prompt_tokens,
                                 .max_output_tokens = request.max_output_tokens,
                                 .loads = loads,
                                 .candidates = candidates,
                                 .prefix = std::span{request.prefix}.first(names),
                                 .prefix_stride = request.prefix_stride};
  const std::uint32_t chosen = routing->choose(question, random);
  CHECK(std::binary_search(candidates.begin(), candidates.end(), chosen),
        "routing policy {} chose an instance that was no candidate", options.routing);
  return chosen;
}

// What was taken once is not refused when it must be dispatched again.
std::optional<Error> SchedulerCore::State::refusal(const AssignRequest& request, std::uint32_t prefill, std::uint32_t decode) {
  if (request.key.epoch.value > 1) return std::nullopt;
  const auto instances = table.instances();
  const std::uint64_t pending = table.loads(Part::prefill)[prefill].pending_tokens;
  const auto refused = admission->refuse(
      {.prompt_tokens = request.prompt_tokens,
       .max_output_tokens = request.max_output_tokens,
       .time_left = request.time_left,
       .forecast = forecast(pending, request.prompt_tokens, instances[prefill].report, instances[decode].report)});
  if (!refused) return std::nullopt;
  Error error{ErrorCode::queue_full, Scope::cluster, refused->reason};
  const double seconds = std::chrono::duration<double>(refused->retry_after).count();
  error.retry_after_s = static_cast<std::uint32_t>(std::clamp(std::ceil(seconds), 1.0, double{kLongestRetryAfter}));
  return error;
}

Result<Assigned> SchedulerCore::State::decide(const AssignRequest& request, Instant now) {
  if (std::optional<Error> error = gather_prefill(now)) return *error;
  const auto instances = table.instances();
  const std::uint32_t chosen = choose(Part::prefill, request);
  const LoadTable::Instance& prefill = instances[chosen];
  Assigned assigned{.key = request.key, .prefill = prefill.hello.self, .decode = prefill.hello.self, .mode = HandOffMode::local};
  if (can_decode(prefill.hello.role)) {
    if (std::optional<Error> error = refusal(request, chosen, chosen)) return *error;
    return assigned;
  }

  gather_decode(chosen);
  const std::uint32_t decode = choose(Part::decode, request);
  if (std::optional<Error> error = refusal(request, chosen, decode)) return *error;
  assigned.decode = instances[decode].hello.self;
  assigned.mode = options.hand_off == HandOffMode::local ? HandOffMode::pull : options.hand_off;
  return assigned;
}

void SchedulerCore::State::count_end(Instant now) {
  if (last_end) {
    const double gap = std::chrono::duration<double>(now - *last_end).count();
    seconds_per_end += (gap - seconds_per_end) / 16;
  }
  last_end = now;
}

SchedulerCommands SchedulerCore::on(const InstanceJoined& event, Instant now) {
  if (!is_instance(event.hello.role)) return {};
  if (state_->table.join(event.hello, now)) state_->routing->left(event.hello.self.id);
  return {};
}

SchedulerCommands SchedulerCore::on(const InstanceLeft& event, Instant) {
  if (state_->table.leave(event.instance)) state_->routing->left(event.instance.id);
  return {};
}

SchedulerCommands SchedulerCore::on(const GatewayLeft& event, Instant) {
  state_->table.gateway_left(event.gateway);
  return {};
}

SchedulerCommands SchedulerCore::on(const LoadReport& event, Instant now) {
  state_->table.report(event, now);
  return {};
}

SchedulerCommands SchedulerCore::on(const InstanceRef& gateway, const AssignRequest& event, Instant now) {
  State& s = *state_;
  s.table.expire(now);
  if (const Assigned* again = s.table.find(gateway, event.key)) return {ReplyAssigned{gateway, *again}};
  Result<Assigned> decision = s.decide(event, now);
  if (!decision) return {ReplyRefused{gateway, {.key = event.key, .error = decision.error()}}};
  s.table.assign(gateway, event, *decision, now);
  return {ReplyAssigned{gateway, *decision}};
}

SchedulerCommands SchedulerCore::on(const InstanceRef& gateway, const RequestEnded& event, Instant now) {
  state_->table.ended(gateway, event.key);
  state_->count_end(now);
  return {};
}

void SchedulerCore::check_invariants() const { state_->table.check_invariants(); }

}  // namespace baton
