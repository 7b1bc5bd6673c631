#include "runtime/device/cpu_device.h"

#include <spdlog/fmt/fmt.h>

#include <utility>

#include "kernels/isa.h"
#include "kernels/parallel.h"
#include "runtime/base/hash.h"
#include "runtime/device/batch_rows.h"
#include "runtime/device/kv_arena.h"
#include "runtime/device/llama_graph.h"
#include "runtime/model/loaded_model.h"

namespace baton {
namespace {

// Raised when an operator's order of operations changes: instances whose bits differ must not share KV.
constexpr const char* kNumerics = "baton cpu 1: chunks of 64, int8 activations per 32, exp of degree 6";

Error refused(ErrorCode code, std::string message) {
  return {code, Scope::instance, std::move(message)};
}

Result<kernels::Isa> choose_isa(const std::string& name) {
  if (name.empty()) return kernels::best_isa();
  const auto isa = kernels::parse_isa(name);
  if (!isa)
    return refused(ErrorCode::unsupported,
                   fmt::format("no instruction set is called {}: use scalar, avx2 or avx512", name));
  if (!kernels::isa_present(*isa)) {
    return refused(ErrorCode::unsupported,
                   fmt::format("this CPU has no {}; it has {}", name, kernels::to_string(kernels::best_isa())));
  }
  return *isa;
}

class CpuDevice final : public Device {
 public:
  CpuDevice(const LoadedModel& model, DeviceWeights weights, const CpuDeviceOptions& options, kernels::Isa isa,
            std::uint32_t length, std::unique_ptr<kernels::Parallel> parallel)
      : layout_{.layers = model.spec().layers,
                .kv_heads = model.spec().kv_heads,
                .head_dim = model.spec().head_dim,
                .block_tokens = options.block_tokens,
                .type = options.kv_type},
        vocabulary_(model.spec().vocabulary),
        length_(length),
        batch_tokens_(options.max_batch_tokens),
        parallel_(std::move(parallel)),
        graph_(model.spec(), std::move(weights), layout_, isa, *parallel_),
        fingerprint_(combined(model.fingerprint(), graph_.angles().fingerprint())),
        kv_(layout_) {}

  Status reserve() { return graph_.reserve(batch_tokens_); }

  const KvLayout& layout() const override { return layout_; }
  std::uint32_t vocabulary() const override { return vocabulary_; }
  std::uint32_t max_model_len() const override { return length_; }
  std::uint64_t model_fingerprint() const override { return fingerprint_; }
  std::uint64_t kernel_identity() const override { return hash64(kNumerics); }
  Status allocate_kv(std::uint32_t blocks) override { return kv_.allocate(blocks); }
  std::uint32_t max_batch_tokens() const override { return batch_tokens_; }

  Result<BatchLogits> run(std::span<const SequenceChunk> batch, LayerObserver* observer) override {
    const BatchLimits limits{.tokens = batch_tokens_,
                             .positions = length_,
                             .vocabulary = vocabulary_,
                             .blocks = kv_.blocks(),
                             .block_tokens = layout_.block_tokens};
    if (auto set = rows_.set(batch, limits); !set) return set.error();
    auto logits = graph_.run(rows_, kv_, observer);
    if (!logits) return logits.error();
    return BatchLogits{.values = *logits, .vocabulary = vocabulary_};
  }

  void copy_out(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<std::byte> to) override {
    kv_.copy_out(layer, block, tokens, to);
  }
  void copy_in(std::uint32_t layer, BlockId block, std::uint32_t tokens, std::span<const std::byte> from) override {
    kv_.copy_in(layer, block, tokens, from);
  }
  void copy_block(BlockId from, BlockId to) override { kv_.copy_block(from, to); }
  std::optional<HostRuns> host_view(std::uint32_t layer, BlockId block, std::uint32_t tokens) override {
    return kv_.view(layer, block, tokens);
  }

 private:
  static std::uint64_t combined(std::uint64_t a, std::uint64_t b) { return hash64(std::as_bytes(std::span{&a, 1}), b); }

  KvLayout layout_;
  std::uint32_t vocabulary_, length_, batch_tokens_;
  std::unique_ptr<kernels::Parallel> parallel_;
  LlamaGraph graph_;
  std::uint64_t fingerprint_;
  KvArena kv_;
  BatchRows rows_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_cpu_device(const LoadedModel& model, const CpuDeviceOptions& options) {
  const auto isa = choose_isa(options.isa);
  if (!isa) return isa.error();
  const auto length = choose_length(model.spec(), options.max_model_len);
  if (!length) return length.error();
  if (options.block_tokens != 16 && options.block_tokens != 32 && options.block_tokens != 64) {
    return refused(ErrorCode::invalid_argument,
                   fmt::format("a block of {} tokens: use 16, 32 or 64", options.block_tokens));
  }
  if (options.max_batch_tokens == 0)
    return refused(ErrorCode::invalid_argument, "batches of 0 tokens do no work: allow some");
  auto parallel = std::make_unique<kernels::Parallel>(options.threads);
  auto weights = DeviceWeights::make(model, *parallel);
  if (!weights) return weights.error();
  auto device = std::make_unique<CpuDevice>(model, std::move(*weights), options, *isa, *length, std::move(parallel));
  if (auto reserved = device->reserve(); !reserved) return reserved.error();
  return std::unique_ptr<Device>{std::move(device)};
}

}  // namespace baton
