// The whole model on one device: prefill, and decode at several batch sizes, against what the machine can do, measured
// in the same run.
//
//   bench_model [model.gguf] [core] [threads]
//
// Prefill is held against the VNNI peak over its linear layers, as if attention and norms were free; decode against the
// read bandwidth at the model's size over the bytes a token must read: all weights, and K and V of its context.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device/cpu_device.h"
#include "runtime/model/loaded_model.h"
#include "tests/bench/machine.h"
#include "tests/default_model.h"

namespace {

using namespace baton;
using baton::bench::Times;

constexpr std::uint32_t kContext = 512, kSequences = 32, kBlockTokens = 16;

struct Size {
  double layer_macs = 0.0, bytes = 0.0;  // of a token through all linear layers; of all matrices as decode reads them
};

Size size_of(const LoadedModel& model) {
  Size size;
  const auto add = [&](const TensorView& tensor, bool layer) {
    if (layer) size.layer_macs += static_cast<double>(tensor.rows * tensor.columns);
    size.bytes += static_cast<double>(tensor.rows * bytes_of_row(tensor.type, tensor.columns));
  };
  for (std::uint32_t i = 0; i < model.spec().layers; ++i) {
    const LayerTensors& layer = model.layer(i);
    for (const auto* tensor : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down})
      add(*tensor, true);
  }
  add(model.output(), false);
  return size;
}

class Runner {
 public:
  explicit Runner(Device& device) : device_(device) {
    const std::uint32_t blocks = device.layout().blocks_for(kContext + 1);
    for (std::uint32_t i = 0; i < kSequences; ++i) {
      tables_.emplace_back();
      for (std::uint32_t block = 0; block < blocks; ++block) tables_[i].push_back(BlockId{i * blocks + block});
    }
    for (std::uint32_t i = 0; i < kContext; ++i)
      prompt_.push_back(static_cast<TokenId>((i * 7919 + 13) % device.vocabulary()));
  }

  void prefill(std::uint32_t sequence) {
    run({{.tokens = prompt_, .blocks = tables_[sequence], .logits_from = kContext - 1}});
  }
  void decode(std::uint32_t batch, std::uint32_t context) {  // one token each, at position `context`
    std::vector<SequenceChunk> chunks;
    for (std::uint32_t i = 0; i < batch; ++i) {
      chunks.push_back({.tokens = std::span{prompt_}.first(1), .start = context, .blocks = tables_[i]});
    }
    run(chunks);
  }

 private:
  void run(const std::vector<SequenceChunk>& batch) {
    const auto logits = device_.run(batch, nullptr);
    if (logits) return;
    std::fprintf(stderr, "%s\n", logits.error().message.c_str());
    std::exit(1);
  }

  Device& device_;
  std::vector<std::vector<BlockId>> tables_;
  std::vector<TokenId> prompt_;
};

template <class T>
T expect(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const auto model = expect(load_model(argc > 1 ? argv[1] : test::default_model_path()));
  const unsigned threads = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1;
  if (threads == 1) baton::bench::pin_to_core(argc > 2 ? std::atoi(argv[2]) : 0);
  const auto device = expect(make_cpu_device(*model, {.threads = threads, .block_tokens = kBlockTokens}));
  expect(device->allocate_kv(kSequences * device->layout().blocks_for(kContext + 1)));
  const Size size = size_of(*model);
  const double kv_bytes = static_cast<double>(device->layout().token_bytes() * device->layout().layers);  // of a token

  baton::bench::ReadBandwidth read{static_cast<std::size_t>(size.bytes)};
  const Times reads = read.run(2.0), int8 = baton::bench::run_int8();
  const double peak = baton::bench::peak_int8(int8), bandwidth = read.per_second(reads.best());
  std::printf("%s, %u thread%s, CPU time of the calling thread\n", model->spec().name.c_str(), threads,
              threads == 1 ? "" : "s");
  std::printf("bounds of one thread: VNNI peak %.0f GOP/s; read of %.1f MB best %.1f, median %.1f GB/s\n", peak * 1e-9,
              size.bytes * 1e-6, bandwidth * 1e-9, read.per_second(reads.median()) * 1e-9);

  Runner runner{*device};
  for (std::uint32_t i = 0; i < kSequences; ++i) runner.prefill(i);
  const Times prefill = baton::bench::measure([&] { runner.prefill(0); }, 4.0);
  const double operations = 2.0 * size.layer_macs * kContext;
  std::printf("prefill %u         best %8.2f ms (median %8.2f)  %8.1f tok/s  linear layers at %5.1f %% of VNNI peak\n",
              kContext, prefill.best() * 1e3, prefill.median() * 1e3, kContext / prefill.best(),
              100 * operations / prefill.best() / peak);
  for (const std::uint32_t context : {64u, kContext}) {
    double single = 0.0;
    for (const std::uint32_t batch : {1u, 2u, 4u, 8u, 16u, 32u}) {
      const Times times = baton::bench::measure([&] { runner.decode(batch, context); }, 1.5);
      const double bytes = size.bytes + batch * context * kv_bytes, rate = batch / times.best();
      if (batch == 1) single = rate;
      std::printf(
          "decode %2u at %3u    best %8.2f ms (median %8.2f)  %8.1f tok/s (%4.2f x one stream)  %5.1f GB/s (%5.1f %% "
          "of read)\n",
          batch, context, times.best() * 1e3, times.median() * 1e3, rate, rate / single, bytes / times.best() * 1e-9,
          100 * bytes / times.best() / bandwidth);
    }
  }
}
