// The linear layers of SmolLM2-135M (Q4_1, output head Q8_0) with random weights: prefill of 512 tokens and decode at several
// batch sizes, one thread, against the VNNI peak and the read bandwidth measured in the same run.
//
//   bench_kernels [core]      pinned to `core`, 0 unless told
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "kernels/half.h"
#include "kernels/matmul.h"
#include "tests/bench/machine.h"

namespace {

using namespace baton::kernels;
using baton::bench::Times;

constexpr std::size_t kLayers = 30, kWidth = 576, kHidden = 1536, kVocabulary = 49152, kQkv = 960;
constexpr double kMacsOfLayer = 960. * 576 + 576. * 576 + 3072. * 576 + 576. * 1536;
constexpr double kMacsOfHead = 49152. * 576;

struct Layer {
  PackedWeight qkv, o, gate_up, down;
};

struct Model {
  Arena arena;
  std::vector<Layer> layers;
  PackedWeight head;
  std::size_t layer_bytes = 0;   // of all layers
  std::size_t head_bytes = 0;
};

PackedWeight random_weight(WeightType type, std::size_t rows, std::size_t columns, Model& model, Parallel& parallel) {
  std::vector<std::byte> bytes(rows * bytes_of_row(type, columns));
  std::minstd_rand random{static_cast<unsigned>(rows + columns)};
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() >> 8);
  const std::uint16_t scale = half_from_float(0.01f);
  for (std::size_t at = 0; at < bytes.size(); at += bytes_of_block(type)) {
    for (std::size_t i = 0; i < (type == WeightType::q4_1 ? 4u : 2u); ++i) bytes[at + i] = static_cast<std::byte>(scale >> (i % 2 * 8));
  }
  const WeightRows part{bytes.data(), rows};
  return pack(type, columns, {&part, 1}, model.arena.take(packed_bytes(type, rows, columns)), parallel);
}

Model make_model(WeightType type, Parallel& parallel) {
  Model model;
  model.layer_bytes = kLayers * (packed_bytes(type, kQkv, kWidth) + packed_bytes(type, kWidth, kWidth) +
                                 packed_bytes(type, 2 * kHidden, kWidth) + packed_bytes(type, kWidth, kHidden));
  model.head_bytes = packed_bytes(WeightType::q8_0, kVocabulary, kWidth);
  model.arena = std::move(*Arena::allocate(model.layer_bytes + model.head_bytes));
  for (std::size_t l = 0; l < kLayers; ++l) {
    const auto matrix = [&](std::size_t rows, std::size_t columns) { return random_weight(type, rows, columns, model, parallel); };
    model.layers.push_back({matrix(kQkv, kWidth), matrix(kWidth, kWidth), matrix(2 * kHidden, kWidth), matrix(kWidth, kHidden)});
  }
  model.head = random_weight(WeightType::q8_0, kVocabulary, kWidth, model, parallel);
  return model;
}

struct Runner {
  const Model& model;
  Parallel& parallel;
  Isa isa;
  std::vector<float> x = std::vector<float>(512 * kHidden, 0.5f), out = std::vector<float>(512 * 2 * kHidden),
                     logits = std::vector<float>(32 * kVocabulary);
  Activations narrow{}, wide{};
  bool prepare = true;

  // Every activation that a layer multiplies is prepared, as in the model: four times a layer.
  void step(std::size_t rows, bool head) {
    for (const Layer& layer : model.layers) {
      multiply(layer.qkv, narrow, rows, out);
      multiply(layer.o, narrow, rows, out);
      multiply(layer.gate_up, narrow, rows, out);
      multiply(layer.down, wide, rows, out);
    }
    if (head) multiply(model.head, narrow, rows, logits);
  }
  void multiply(const PackedWeight& weight, Activations& activations, std::size_t rows, std::vector<float>& to) {
    if (prepare) activations.set(activation_kind(weight.type), x.data(), weight.columns, rows, weight.columns, isa, parallel);
    matmul(weight, activations, {.data = to.data(), .stride = weight.rows}, isa, parallel);
  }
};

struct Bounds {
  double int8, read;
};

template <class Measure>
void print_case(const char* name, double operations, double bytes, double tokens, const Bounds& bounds, const Measure& run) {
  const Times times = run();
  const double best = times.best(), median = times.median();
  std::printf("%-28s best %8.3f ms (median %8.3f)  %8.1f tok/s  %6.1f GOP/s (%4.1f %% of peak)  %5.1f GB/s (%4.1f %% of read)\n",
              name, best * 1e3, median * 1e3, tokens / best, operations / best * 1e-9, 100 * operations / best / bounds.int8,
              bytes / best * 1e-9, 100 * bytes / best / bounds.read);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  baton::bench::pin_to_core(argc > 1 ? std::atoi(argv[1]) : 0);
  Parallel parallel{1};
  const Model model = make_model(WeightType::q4_1, parallel);
  const double layer_operations = 2 * kMacsOfLayer * kLayers, head_operations = 2 * kMacsOfHead;
  const double bytes = static_cast<double>(model.layer_bytes + model.head_bytes);

  baton::bench::ReadBandwidth read{static_cast<std::size_t>(bytes)};
  const Times reads = read.run(2.0), int8 = baton::bench::run_int8(), fma = baton::bench::run_float();
  const Bounds bounds{baton::bench::peak_int8(int8), read.per_second(reads.best())};
  std::printf("one thread, CPU time: VNNI peak %.0f GOP/s, fp32 peak %.0f GFLOP/s, read of %.1f MB: best %.1f, median %.1f GB/s\n",
              bounds.int8 * 1e-9, baton::bench::peak_float(fma) * 1e-9, bytes * 1e-6, bounds.read * 1e-9,
              read.per_second(reads.median()) * 1e-9);

  for (const Isa isa : {Isa::avx512, Isa::avx2}) {
    if (!isa_present(isa)) continue;
    Runner runner{.model = model, .parallel = parallel, .isa = isa};
    std::printf("%s\n", to_string(isa));
    print_case("  prefill 512, layers", 512 * layer_operations, static_cast<double>(model.layer_bytes), 512, bounds,
               [&] { return baton::bench::measure([&] { runner.step(512, false); }, 4.0); });
    runner.prepare = false;
    print_case("    without quantising", 512 * layer_operations, static_cast<double>(model.layer_bytes), 512, bounds,
               [&] { return baton::bench::measure([&] { runner.step(512, false); }, 2.0); });
    runner.prepare = true;
    for (const std::size_t batch : {1u, 2u, 4u, 8u, 16u, 32u}) {
      const std::string name = "  decode " + std::to_string(batch) + ", layers and head";
      const auto rows = static_cast<double>(batch);
      print_case(name.c_str(), rows * (layer_operations + head_operations), bytes, rows, bounds,
                 [&] { return baton::bench::measure([&] { runner.step(batch, true); }, 1.0); });
    }
  }
}
