// What the rules of one instance share. Owned by InstanceCore; each rule holds a reference.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "runtime/instance/deadline_queue.h"
#include "runtime/instance/instance_options.h"
#include "runtime/instance/outbox.h"
#include "runtime/instance/queue_order.h"
#include "runtime/kv/block_pool.h"

namespace baton {

struct InstanceContext {
  explicit InstanceContext(InstanceOptions given)
      : options(std::move(given)),
        order(make_queue_order(options.queue_order, {.quantum_tokens = quantum_of(options)}).value()),
        pool({.blocks = options.blocks, .block_tokens = options.block_tokens, .prefix_cache = options.prefix_cache}),
        out(options.self) {}
  InstanceContext(const InstanceContext&) = delete;
  InstanceContext& operator=(const InstanceContext&) = delete;

  const InstanceOptions options;
  const std::unique_ptr<QueueOrder> order;     // CHECKed to be registered; the config reader refuses it before
  BlockPool pool;
  Outbox out;
  DeadlineQueue deadlines;
  InstanceStats stats;

 private:
  // A chunk, as far as prompts are cut.
  static std::uint32_t quantum_of(const InstanceOptions& options) {
    return std::max(options.chunk_tokens != 0 ? options.chunk_tokens : options.prefill_token_budget, 1u);
  }
};

}  // namespace baton
