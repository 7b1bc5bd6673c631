// What DistServe's released simulator knows of models and of their speed on an A100-80GB (configs/profiles/distserve_*.yaml), and
// what of it one deployment uses. Source: DistServe (OSDI'24) section 3 and appendix A; the numbers are the released simulator's.
//
// Times are milliseconds. Thread: none; a Profile is read-only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace baton::sim::distserve {

// distserve: one prefill and one decode instance. vllm: one instance that does both, prefill first.
enum class Engine : std::uint8_t { distserve, vllm };
const char* to_string(Engine engine);

struct Parallelism {
  std::uint32_t tp = 1;                    // GPUs that share each layer
  std::uint32_t pp = 1;                    // pipeline stages that share the layers
  std::uint32_t gpus() const { return tp * pp; }
  bool operator==(const Parallelism&) const = default;
};
std::string to_string(const Parallelism& parallelism);              // tp=2,pp=1
// "tp=2,pp=1", in any order; what is left out is 1. `flag` is named in errors (invalid_argument).
Result<Parallelism> parse_parallelism(std::string_view text, const std::string& flag);

// Whole model, one iteration: fixed + per_token * tokens + last * (prefill: squares of the prompts' lengths; decode: requests).
struct Cost {
  double fixed = 0;
  double per_token = 0;
  double last = 0;
};

// Milliseconds of one iteration of the whole model; `last` as above.
inline double iteration_ms(const Cost& cost, double tokens, double last) {
  return cost.fixed + cost.per_token * tokens + cost.last * last;
}
// What the engine's control takes besides, at the first stage. Of a decode batch without its new tokens.
inline double control_ms(std::uint64_t context) { return 2 + static_cast<double>(context) * 0.0001; }

struct Coefficients {
  std::uint32_t tp = 1;
  Cost prefill;
  Cost decode_small;                       // batches below Profile::small_batch requests
  Cost decode_large;
};

struct Model {
  std::string name;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t hidden = 0;
  std::vector<Coefficients> coefficients[2] = {};     // by Engine
};

struct Profile {
  double gpu_memory_bytes = 0;
  std::uint32_t largest_degree = 0;        // of tp and pp; the authors list memory for no larger one
  std::uint32_t small_batch = 0;
  std::vector<Model> models;

  // Errors: invalid_argument, with the nearest name.
  Result<const Model*> find(const std::string& name) const;
};
// The profile inside the program.
Result<Profile> load_profile();

// Prompt tokens whose KV cache fits beside the weights of one instance, in whole blocks of 16; 0 when the weights do not leave room
// or the authors' table ends before that degree. tp divides the heads, pp the layers.
//   16 * floor((0.95 T - 0.01 T - weights) / block), all of one GPU of the first stage: T its memory, l = layers / pp,
//   weights = 2 (50272 h + 2048 h + 12 l h^2 / tp + 5 l h), block = 16 tokens of l layers and heads / tp heads, K and V in FP16
std::uint64_t max_num_tokens(const Profile& profile, const Model& model, Parallelism parallelism);

// Everything that a simulation needs of an engine, a model and its parallelism.
struct Deployment {
  Engine engine = Engine::distserve;
  Parallelism prefill;
  Parallelism decode;                      // vllm: equal to prefill
  Cost prefill_cost;
  Cost decode_small;
  Cost decode_large;
  std::uint32_t small_batch = 0;
  std::uint64_t prefill_tokens = 0;        // at most, in a prefill batch
  std::uint64_t decode_requests = 0;       // at most, in a decode batch
};
// Errors: invalid_argument when the weights do not fit or the speed at a tp is not known; the message names what is.
Result<Deployment> deploy(const Profile& profile, const Model& model, Engine engine, Parallelism prefill, Parallelism decode);

}  // namespace baton::sim::distserve
