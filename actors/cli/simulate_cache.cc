#include <cstdio>

#include <nlohmann/json.hpp>

#include "actors/cli/simulate_flags.h"
#include "actors/cli/verbs.h"
#include "runtime/sim/cache_replay.h"

namespace baton::cli {

int simulate_cache(const SimulateFlags& flags) {
  const auto trace = sim::load_trace(flags.trace);
  if (!trace) return report(trace.error());
  const auto replay = sim::replay_cache(*trace, flags.policy, flags.capacity_blocks);
  if (!replay) return report(replay.error());
  if (flags.json.empty()) {
    const std::string capacity = flags.capacity_blocks == 0 ? "unbounded" : fmt::format("{} blocks", flags.capacity_blocks);
    fmt::print("{}, {}: {:.4f} of the blocks were cached ({} of {}, {} distinct; {} requests), {:.4f} in a cached prefix; {} evictions\n",
               flags.policy, capacity, replay->block_hit_rate(), replay->hits, replay->references, replay->distinct,
               replay->requests, replay->prefix_hit_rate(), replay->evictions);
    return kDone;
  }
  const nlohmann::ordered_json summary = {{"policy", flags.policy},
                                          {"capacity_blocks", flags.capacity_blocks},
                                          {"requests", replay->requests},
                                          {"block_references", replay->references},
                                          {"distinct_blocks", replay->distinct},
                                          {"block_hits", replay->hits},
                                          {"block_hit_rate", replay->block_hit_rate()},
                                          {"prefix_hit_rate", replay->prefix_hit_rate()},
                                          {"evictions", replay->evictions}};
  const Status written = write_text(flags.json, summary.dump(2) + "\n");
  return written ? kDone : report(written.error());
}

}  // namespace baton::cli
