// What SplitwiseSim knows of models and machines: times measured on real ones, sizes, and the constants of its evaluation, read
// from configs/profiles/splitwise_*.yaml as they are compiled into the program. Source: SplitwiseSim's module performance_model.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace baton::sim::splitwise {

// Seconds over tokens, piecewise linear; beyond the ends the first and the last segment go on. At a knot the segment on its left
// counts, and the order of the operations is the authors' (scipy's interp1d), so that results have the same bits.
struct Curve {
  std::vector<double> tokens;              // ascending, at least two
  std::vector<double> seconds;
  double at(double x) const;
};

struct StepTimes {
  Curve prompt;                            // over the tokens of the batch
  Curve token;                             // measured over prompt tokens, but asked with the number of sequences

  // One iteration: prompts by their tokens, decodes by their number, a mixture by both and a tenth more.
  double iteration_seconds(std::int64_t prompt_tokens, std::int64_t decodes) const;
};

struct Model {
  std::string name;
  std::uint32_t layers = 0;
  std::int64_t kv_bytes_per_token = 0;     // both K and V, all layers, no grouped-query attention
  std::int64_t weight_bytes = 0;
  std::map<std::string, StepTimes> times;  // by GPU, with tensor parallelism 8
};

struct Gpu {
  std::string name;
  std::int64_t machine_memory_bytes = 0;   // of its eight
};

struct SlowdownLimits {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
};

struct Hardware {
  std::vector<Gpu> gpus;                   // in the order in which the authors number machines of several kinds
  double infiniband_bytes_per_s = 0;
  double ethernet_bytes_per_s = 0;
  double overlap_factor = 1;
  std::string slo_reference;               // the GPU of the idle machine that slowdowns are measured against
  SlowdownLimits ttft;
  SlowdownLimits tbt;
  SlowdownLimits e2e;
};

const std::vector<std::string>& model_names();

// Errors: invalid_argument (no such model; names the nearest), internal (a profile that cannot be read).
Result<Model> load_model(const std::string& name);
Result<Hardware> load_hardware();

}  // namespace baton::sim::splitwise
