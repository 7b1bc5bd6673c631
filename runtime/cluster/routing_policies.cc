#include "runtime/cluster/routing_policies.h"

#include <memory>
#include <tuple>

#include "runtime/cluster/prefix_routing.h"

namespace baton {
namespace {

// Instances are told apart by id, not by place, so that joining and leaving of others does not change whose turn it is.
class RoundRobin final : public RoutingPolicy {
 public:
  std::uint32_t choose(const RoutingQuestion& question, Random&) override {
    InstanceId& last = last_[static_cast<std::size_t>(question.part)];
    std::uint32_t lowest = question.candidates.front();
    std::uint32_t next = lowest;
    bool found = false;
    for (const std::uint32_t candidate : question.candidates) {
      const InstanceId id = question.loads[candidate].id;
      if (id < question.loads[lowest].id) lowest = candidate;
      if (id > last && (!found || id < question.loads[next].id)) {
        next = candidate;
        found = true;
      }
    }
    const std::uint32_t chosen = found ? next : lowest;
    last = question.loads[chosen].id;
    return chosen;
  }

 private:
  InstanceId last_[2];
};

// The best by a key; ties go to the lowest id, so that the order of joining plays no part.
template <class Key>
std::uint32_t best_of(const RoutingQuestion& question, Key key) {
  std::uint32_t best = question.candidates.front();
  for (const std::uint32_t candidate : question.candidates.subspan(1)) {
    const InstanceLoad& a = question.loads[candidate];
    const InstanceLoad& b = question.loads[best];
    if (std::make_tuple(key(a), a.id) < std::make_tuple(key(b), b.id)) best = candidate;
  }
  return best;
}

auto queue_length(const InstanceLoad& load) { return std::make_pair(load.pending_tokens, load.running); }

class JoinShortestQueue final : public RoutingPolicy {
 public:
  std::uint32_t choose(const RoutingQuestion& question, Random&) override { return best_of(question, queue_length); }
};

class LeastMemory final : public RoutingPolicy {
 public:
  std::uint32_t choose(const RoutingQuestion& question, Random&) override {
    return best_of(question, [](const InstanceLoad& load) { return std::make_pair(~load.blocks_free, load.pending_tokens); });
  }
};

class PowerOfTwo final : public RoutingPolicy {
 public:
  std::uint32_t choose(const RoutingQuestion& question, Random& random) override {
    const std::size_t count = question.candidates.size();
    if (count == 1) return question.candidates.front();
    const std::size_t first = random.below(count);
    std::size_t second = random.below(count - 1);
    if (second >= first) ++second;
    const std::uint32_t two[] = {question.candidates[first], question.candidates[second]};
    RoutingQuestion narrowed = question;
    narrowed.candidates = two;
    return best_of(narrowed, queue_length);
  }
};

template <class Policy>
RoutingFactory factory() {
  return [] { return std::make_unique<Policy>(); };
}

}  // namespace

std::vector<std::pair<std::string, RoutingFactory>> built_in_routing() {
  return {{"round_robin", factory<RoundRobin>()},
          {"jsq", factory<JoinShortestQueue>()},
          {"least_memory", factory<LeastMemory>()},
          {"power_of_two", factory<PowerOfTwo>()},
          {"prefix_aware", make_prefix_aware}};
}

}  // namespace baton
