// What runs the model: one instance of it, its KV arena, and batches over both. The CPU device is cpu_device.h; another kind of
// device implements this and nothing above changes.
//
// Thread: run() and copy_*() are called from one thread (the instance's device worker), one at a time; a LayerObserver is called on
// that thread. host_view() may be used from any thread for blocks that no batch in flight writes.
// Numerics: every logit and KV bit is a function of the weights, the sequence's tokens and the position only (ARCHITECTURE.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/kv_layout.h"
#include "runtime/base/ids.h"
#include "runtime/base/result.h"

namespace baton {

// One sequence's part of a batch: tokens at positions start .. start + tokens.size() - 1; KV before start is in `blocks` already.
struct SequenceChunk {
  std::span<const TokenId> tokens;
  std::uint32_t start = 0;
  std::span<const BlockId> blocks;       // table covering start + tokens.size() tokens; those written to are private to the sequence
  std::uint32_t logits_from = 0;         // logits are made for tokens[logits_from ..]; tokens.size(): for none
};

class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  virtual void on_layer_done(std::uint32_t layer) = 0;   // K and V of this layer are stored for every chunk of the batch
};

// Valid until the next run() of the same device.
struct BatchLogits {
  std::span<const float> values;         // [rows][vocabulary], rows in the order of the batch's sequences, then tokens
  std::uint32_t vocabulary = 0;
  std::span<const float> row(std::size_t i) const { return values.subspan(i * vocabulary, vocabulary); }
};

// A (layer, block) in host memory, or a prefix of its tokens: `runs` pieces of `run_bytes`, `stride_bytes` apart. A full block is one run.
struct HostRuns {
  std::byte* base = nullptr;
  std::uint32_t run_bytes = 0;
  std::uint32_t stride_bytes = 0;
  std::uint32_t runs = 0;
  std::size_t bytes() const { return std::size_t{run_bytes} * runs; }
};

class Device {
 public:
  virtual ~Device() = default;

  virtual const KvLayout& layout() const = 0;
  virtual std::uint32_t vocabulary() const = 0;
  virtual std::uint32_t max_model_len() const = 0;        // tokens
  virtual std::uint64_t model_fingerprint() const = 0;    // of weights, hyper-parameters and tables
  virtual std::uint64_t kernel_identity() const = 0;      // equal for devices whose bits are equal

  // Once, before run(). Pre-faulted, so that serving never meets a page fault.
  virtual Status allocate_kv(std::uint32_t blocks) = 0;

  // At most one row per token of the batch and at most max_batch_tokens() tokens. `observer` may be null.
  virtual std::uint32_t max_batch_tokens() const = 0;
  virtual Result<BatchLogits> run(std::span<const SequenceChunk> batch, LayerObserver* observer) = 0;

  // The first `tokens` tokens of a block's layer, packed as [K|V][kv_head][token][head_dim], layout().token_bytes() * tokens bytes.
  virtual void copy_out(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<std::byte> to) = 0;
  virtual void copy_in(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<const std::byte> from) = 0;
  // All layers of `from` into `to`: a fork's private copy of a shared, partly filled block.
  virtual void copy_block(BlockId from, BlockId to) = 0;
  // Where KV lies in host memory, the same bytes as copy_out's, in place; nothing for a device whose memory is elsewhere.
  virtual std::optional<HostRuns> host_view(std::uint32_t layer, BlockId block, std::uint32_t tokens) = 0;
};

}  // namespace baton
