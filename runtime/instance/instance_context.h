// What the rules of one instance share. Owned by InstanceCore; each rule holds a reference.
#pragma once

#include "runtime/instance/deadline_queue.h"
#include "runtime/instance/instance_options.h"
#include "runtime/instance/outbox.h"
#include "runtime/kv/block_pool.h"

namespace baton {

struct InstanceContext {
  explicit InstanceContext(InstanceOptions given)
      : options(std::move(given)),
        pool({.blocks = options.blocks, .block_tokens = options.block_tokens, .prefix_cache = options.prefix_cache}),
        out(options.self) {}
  InstanceContext(const InstanceContext&) = delete;
  InstanceContext& operator=(const InstanceContext&) = delete;

  const InstanceOptions options;
  BlockPool pool;
  Outbox out;
  DeadlineQueue deadlines;
  InstanceStats stats;
};

}  // namespace baton
