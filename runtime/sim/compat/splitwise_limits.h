// The limits that all start states of SplitwiseSim share. Source: configs/start_state, configs/orchestrator_repo, config.yaml.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton::sim::splitwise {

inline constexpr std::size_t kMaxBatch = 512;              // tasks
inline constexpr std::int64_t kMaxBatchTokens = 2048;      // not of orca
inline constexpr std::uint32_t kStarved = 4;               // times passed over, from which a task comes first
inline constexpr std::int64_t kMaxPendingTokens = 8192;    // of a prompt machine, before mixed_pool looks elsewhere
inline constexpr double kRetrySeconds = 1.0;               // of a transfer that found no room
inline constexpr double kEndSeconds = 86'400;              // the run stops at the first event from here on

}  // namespace baton::sim::splitwise
