#include "runtime/cluster/prefix_routing.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace baton {
namespace {

constexpr std::size_t kMostBeginnings = 65'536;

class PrefixAware final : public RoutingPolicy {
 public:
  std::uint32_t choose(const RoutingQuestion& question, Random&) override {
    matches_.clear();
    if (question.part == Part::prefill) find_matches(question);
    const auto cost = [&](std::uint32_t candidate) {
      const InstanceLoad& load = question.loads[candidate];
      const std::uint64_t left = question.prompt_tokens - std::min(question.prompt_tokens, matched(load.id));
      return std::make_tuple(load.pending_tokens + left, left, load.running, load.id);
    };
    std::uint32_t best = question.candidates.front();
    auto lowest = cost(best);
    for (const std::uint32_t candidate : question.candidates.subspan(1)) {
      if (auto other = cost(candidate); other < lowest) {
        best = candidate;
        lowest = other;
      }
    }
    if (question.part == Part::prefill) memory_.remember(question.prefix, question.loads[best].id);
    return best;
  }

  void left(InstanceId instance) override { memory_.forget(instance); }

 private:
  struct Match {
    InstanceId instance;
    std::uint32_t tokens = 0;
  };

  // Of each instance the longest.
  void find_matches(const RoutingQuestion& question) {
    for (std::size_t i = question.prefix.size(); i-- > 0;) {
      for (const InstanceId holder : memory_.holders(question.prefix[i])) {
        if (matched(holder) == 0) matches_.push_back({holder, static_cast<std::uint32_t>(i + 1) * question.prefix_stride});
      }
    }
  }
  std::uint32_t matched(InstanceId instance) const {
    const auto found = std::ranges::find(matches_, instance, &Match::instance);
    return found == matches_.end() ? 0 : found->tokens;
  }

  PrefixMemory memory_{kMostBeginnings};
  std::vector<Match> matches_;                 // of the question in hand
};

}  // namespace

PrefixMemory::Holders& PrefixMemory::entry(std::uint64_t name) {
  if (const auto found = young_.find(name); found != young_.end()) return found->second;
  auto known = old_.extract(name);
  if (young_.size() >= half_) {
    old_ = std::move(young_);
    young_.clear();
  }
  return known.empty() ? young_[name] : young_.insert(std::move(known)).position->second;
}

void PrefixMemory::remember(std::span<const std::uint64_t> prefix, InstanceId instance) {
  for (const std::uint64_t name : prefix) {
    Holders& holders = entry(name);
    std::erase(holders, instance);
    if (holders.size() == kMostHolders) holders.pop_back();
    holders.insert(holders.begin(), instance);
  }
}

std::span<const InstanceId> PrefixMemory::holders(std::uint64_t name) const {
  for (const auto* generation : {&young_, &old_}) {
    if (const auto found = generation->find(name); found != generation->end()) return found->second;
  }
  return {};
}

void PrefixMemory::forget(InstanceId instance) {
  for (auto* generation : {&young_, &old_}) {
    for (auto& [name, holders] : *generation) std::erase(holders, instance);
    std::erase_if(*generation, [](const auto& entry) { return entry.second.empty(); });
  }
}

std::unique_ptr<RoutingPolicy> make_prefix_aware() { return std::make_unique<PrefixAware>(); }

}  // namespace baton
