#include "runtime/sim/cache_replay.h"

#include <algorithm>
#include <unordered_map>

#include "runtime/base/check.h"
#include "runtime/kv/eviction_registry.h"

namespace baton::sim {
namespace {

constexpr std::uint32_t kNowhere = 0xffffffff;

// The ids of all requests in a row, renumbered from 0 in order of appearance, so that what is known of each lies in arrays.
struct Numbered {
  std::vector<std::uint32_t> ids;
  std::uint32_t distinct = 0;
};

Numbered number_blocks(const Trace& trace, std::size_t references) {
  Numbered numbered;
  numbered.ids.reserve(references);
  std::unordered_map<std::uint64_t, std::uint32_t> number_of;
  number_of.reserve(references);
  for (const TraceRequest& request : trace) {
    for (const std::uint64_t id : request.blocks) {
      numbered.ids.push_back(number_of.try_emplace(id, static_cast<std::uint32_t>(number_of.size())).first->second);
    }
  }
  numbered.distinct = static_cast<std::uint32_t>(number_of.size());
  return numbered;
}

// One cache of `places` places; which content is where, and the policy over the places.
class Cache {
 public:
  Cache(std::uint32_t distinct, std::uint32_t places, EvictionPolicy& policy)
      : place_of_(distinct, kNowhere), content_of_(places), policy_(policy) {}

  bool look_up(std::uint32_t content, std::uint32_t depth) {
    if (place_of_[content] != kNowhere) {
      policy_.use(BlockId{place_of_[content]});
      return true;
    }
    BlockId place{used_};
    if (used_ < content_of_.size()) {
      ++used_;
    } else {
      const auto victim = policy_.victim();
      CHECK(victim, "the eviction policy finds none of {} blocks to evict, and none is held", content_of_.size());
      place = *victim;
      policy_.forget(place);
      place_of_[content_of_[place.value]] = kNowhere;
      ++evictions;
    }
    content_of_[place.value] = content;
    place_of_[content] = place.value;
    policy_.admit(place, depth);
    return false;
  }

  std::uint64_t evictions = 0;

 private:
  std::vector<std::uint32_t> place_of_;    // by content
  std::vector<std::uint32_t> content_of_;  // by place
  std::uint32_t used_ = 0;
  EvictionPolicy& policy_;
};

}  // namespace

Result<CacheReplay> replay_cache(const Trace& trace, std::string_view policy, std::uint64_t capacity_blocks) {
  CacheReplay replay{.requests = trace.size()};
  for (const TraceRequest& request : trace) replay.references += request.blocks.size();
  if (replay.references >= kNowhere) {
    return Error{ErrorCode::invalid_argument, Scope::request,
                 fmt::format("{} block ids are more than one replay takes; cut the trace", replay.references)};
  }
  const Numbered numbered = number_blocks(trace, replay.references);
  replay.distinct = numbered.distinct;
  const std::uint64_t bound = capacity_blocks == 0 ? numbered.distinct : capacity_blocks;
  const auto places = static_cast<std::uint32_t>(std::min<std::uint64_t>(bound, numbered.distinct));
  const auto order = make_eviction(policy, places);
  if (!order) return order.error();
  if (replay.references == 0) {
    return Error{ErrorCode::invalid_argument, Scope::request,
                 "the trace names no blocks, so nothing can be found again: take a Mooncake JSONL trace with hash_ids"};
  }
  Cache cache(numbered.distinct, places, **order);
  auto next = numbered.ids.begin();
  for (const TraceRequest& request : trace) {
    bool prefix = true;
    for (std::uint32_t depth = 0; depth < request.blocks.size(); ++depth) {
      const bool hit = cache.look_up(*next++, depth);
      prefix = prefix && hit;
      replay.hits += hit;
      replay.prefix_hits += prefix;
    }
  }
  replay.evictions = cache.evictions;
  return replay;
}

}  // namespace baton::sim
