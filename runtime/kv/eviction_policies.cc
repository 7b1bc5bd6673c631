#include "runtime/kv/eviction_policies.h"

#include <algorithm>
#include <memory>

#include "runtime/kv/block_heap.h"
#include "runtime/kv/lru_list.h"

namespace baton {
namespace {

class LeastRecentlyUsed final : public EvictionPolicy {
 public:
  explicit LeastRecentlyUsed(std::uint32_t blocks) : order_(blocks) {}

  void admit(BlockId block, std::uint32_t) override { order_.push_newest(block); }
  void use(BlockId block) override {
    if (!order_.contains(block)) return;                   // held: it becomes the newest when it is released
    order_.remove(block);
    order_.push_newest(block);
  }
  void hold(BlockId block) override { order_.remove(block); }
  void release(BlockId block) override { order_.push_newest(block); }
  void forget(BlockId block) override { order_.remove(block); }
  std::optional<BlockId> victim() const override { return order_.oldest(); }

 private:
  LruList order_;
};

// Policies that count uses. `Major` makes the first part of a block's rank of its uses and depth; ties go to the least recent use.
template <class Major>
class ByUses final : public EvictionPolicy {
 public:
  explicit ByUses(std::uint32_t blocks) : order_(blocks), of_(blocks) {}

  void admit(BlockId block, std::uint32_t depth) override {
    of_[block.value] = {.last_use = ++uses_, .uses = 1, .depth = depth};
    order_.insert(block, rank_of(block));
  }
  void use(BlockId block) override {
    Block& known = of_[block.value];
    known.last_use = ++uses_;
    known.uses = std::max(known.uses, known.uses + 1);     // stays at the largest count
    if (order_.contains(block)) order_.change(block, rank_of(block));
  }
  void hold(BlockId block) override { order_.remove(block); }
  void release(BlockId block) override { order_.insert(block, rank_of(block)); }
  void forget(BlockId block) override { order_.remove(block); }
  std::optional<BlockId> victim() const override { return order_.lowest(); }

 private:
  struct Block {
    std::uint64_t last_use = 0;
    std::uint32_t uses = 0;
    std::uint32_t depth = 0;
  };
  BlockHeap::Rank rank_of(BlockId block) const {
    const Block& known = of_[block.value];
    return {.major = Major{}(known.uses, known.depth), .minor = known.last_use};
  }

  std::uint64_t uses_ = 0;                                 // of all blocks: the time of this cache
  BlockHeap order_;
  std::vector<Block> of_;
};

struct FewestUses {
  std::uint64_t operator()(std::uint32_t uses, std::uint32_t) const { return uses; }
};
struct FewestUsesThenDeepest {
  std::uint64_t operator()(std::uint32_t uses, std::uint32_t depth) const { return std::uint64_t{uses} << 32 | (0xffffffff - depth); }
};

template <class Policy>
EvictionFactory factory() {
  return [](std::uint32_t blocks) { return std::make_unique<Policy>(blocks); };
}

}  // namespace

std::vector<std::pair<std::string, EvictionFactory>> built_in_eviction() {
  return {{"lru", factory<LeastRecentlyUsed>()},
          {"lfu", factory<ByUses<FewestUses>>()},
          {"length_aware", factory<ByUses<FewestUsesThenDeepest>>()}};
}

}  // namespace baton
