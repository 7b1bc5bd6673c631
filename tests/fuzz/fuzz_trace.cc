// Traces in all four formats, and workload files: any text gives a result or an error that names its place.
#include "runtime/base/check.h"
#include "runtime/sim/trace.h"
#include "runtime/sim/workload.h"
#include "tests/fuzz/mutation.h"

namespace {

const std::vector<std::string> kSeeds = {
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04+00:00,3180,8\r\n",
    "request_id,request_type,arrival_timestamp,batch_size,prompt_size,token_size\n0,2,1.5,1,374,44\n1,2,5,1,396,9\n",
    "{\"timestamp\": 0, \"input_length\": 675, \"output_length\": 5, \"hash_ids\": [0, 1]}\n"
    "{\"timestamp\": 2.5, \"input_length\": 6, \"output_length\": 5, \"x\": {\"y\": [\"\\\"\", null]}}\n",
    "[{\"start_time\": 0.0, \"prompt_len\": 766, \"output_len\": 59},\n {\"start_time\": 0.5, \"prompt_len\": 1409, \"output_len\": 164}]",
    "rate: 2\narrivals: {process: gamma, cv: 3}\n"
    "lengths: {prompt: {uniform: [1, 90]}, output: {quantiles: [[0, 1], [1, 9]]}, most_total: 95}\n",
    "sessions: {block_tokens: 16, kinds: [{system_tokens: 40, turns: 2, think_s: 1, first: {lognormal: {median: 9, sigma: 1, most: 99}},\n"
    "  later: {constant: 5}, output: {constant: 7}, most_prompt: 200}]}\n"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto trace = baton::sim::parse_trace(text, "f"); trace.ok()) {
    const auto again = baton::sim::parse_trace(baton::sim::to_mooncake_jsonl(*trace), "g");
    CHECK(again.ok() && again->size() == trace->size() && again->back().arrival_s == trace->back().arrival_s, "a trace reads back");
  } else {
    CHECK(trace.error().message.starts_with("f:"), "{}", trace.error().message);
  }
  auto workload = baton::sim::parse_workload(text, "f", "nowhere");
  if (!workload.ok()) return 0;
  for (auto& kind : workload->sessions) kind.most_prompt = std::min(kind.most_prompt, 10'000u);      // longer ones are only slow
  CHECK(baton::sim::generate(*workload, 2, 20, 1)->size() == 20, "as many as were asked for");
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  baton::Random random{seed};
  if (size < 4 || random.below(64) == 0) return baton::fuzz::put(kSeeds[random.below(kSeeds.size())], data, max_size);
  return LLVMFuzzerMutate(data, size, max_size);
}
