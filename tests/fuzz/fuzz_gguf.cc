// A GGUF file: the input is its head; tensor data of zeros follow, so that changes fall where something is parsed.
#include "runtime/model/model_parts.h"
#include "tests/fuzz/mutation.h"
#include "tests/runtime/model/model_writers.h"

namespace {

using baton::Random;
using baton::test::GgufWriter;
using baton::test::raw;

constexpr std::size_t kDataBytes = 64 << 10;

GgufWriter seed_of(Random& random) {
  static constexpr const char* kArchitectures[] = {"llama", "qwen2", "qwen3"};
  GgufWriter w = baton::test::tiny_gguf(kArchitectures[random.below(3)]);
  if (random.below(2)) {
    w.string("tokenizer.ggml.model", "llama");
    w.array<float>("tokenizer.ggml.scores", 6, std::vector<float>(baton::test::kTinyVocabulary, -1.0f));
  }
  if (random.below(4) == 0) w.add_f32("output.weight", {32, baton::test::kTinyVocabulary});
  if (random.below(4) == 0) w.add_f32("rope_freqs.weight", {8});
  if (random.below(4) == 0) w.boolean("tokenizer.ggml.add_bos_token", 1);
  if (random.below(4) == 0) w.string("llama.rope.scaling.type", random.below(2) ? "linear" : "yarn");
  if (random.below(4) == 0) w.f32("llama.rope.scaling.factor", 2.0f);
  return w;
}

std::string any_value(std::uint32_t type, Random& random) {
  if (type == 8) return baton::test::gguf_string(std::string(random.below(9), 'x'));
  if (type == 9) {
    const auto element = static_cast<std::uint32_t>(random.below(13));
    const std::uint64_t count = random.below(4);
    std::string out = raw(element) + raw(random.below(16) == 0 ? random.next() : count);
    for (std::uint64_t i = 0; i < count; ++i) out += any_value(element, random);
    return out;
  }
  static constexpr std::size_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return raw(random.below(2) ? random.below(40) : random.next()).substr(0, type < 13 ? kSizes[type] : 4);
}

std::string changed_file(Random& random) {
  GgufWriter w = seed_of(random);
  for (std::uint64_t i = 0; i <= random.below(3); ++i) {
    auto& pair = w.pairs[random.below(w.pairs.size())];
    auto& tensor = w.tensors[random.below(w.tensors.size())];
    switch (random.below(9)) {
      case 0:
        pair.type = static_cast<std::uint32_t>(random.below(14));
        pair.value = any_value(pair.type, random);
        break;
      case 1: w.pairs.erase(w.pairs.begin() + static_cast<std::ptrdiff_t>(random.below(w.pairs.size()))); break;
      case 2: w.tensors.erase(w.tensors.begin() + static_cast<std::ptrdiff_t>(random.below(w.tensors.size()))); break;
      case 3: tensor.type = static_cast<std::uint32_t>(random.below(32)); break;
      case 4: tensor.dimensions.resize(random.below(6), random.below(64)); break;
      case 5: tensor.offset = static_cast<std::int64_t>(random.below(2) ? random.below(2000) * 32 : random.next()); break;
      case 6: tensor.offset = static_cast<std::int64_t>(random.below(4) * 32); break;   // over its neighbours, or all in one place
      case 7: if (!tensor.dimensions.empty()) tensor.dimensions[0] = random.below(2) ? random.below(512) : random.next(); break;
      default: w.u32("general.alignment", static_cast<std::uint32_t>(8 * random.below(9)));
    }
  }
  return w.bytes();
}

std::string head_of(std::string file) {   // the tensors' data are the only long run after the last name
  return file.substr(0, std::min(file.size(), file.rfind(".weight") + 64));
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  Random random{seed};
  if (size < 24 || random.below(4) == 0) return baton::fuzz::put(head_of(changed_file(random)), data, max_size);
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> aligned((size + kDataBytes) / 8 + 1);
  std::memcpy(aligned.data(), data, size);
  const auto model = baton::read_gguf_model(std::as_bytes(std::span(aligned)).subspan(0, size + kDataBytes), "input");
  if (!model.ok() && model.error().message.empty()) __builtin_trap();
  (void)baton::read_gguf_model(std::as_bytes(std::span(data, 0)), "input");
  return 0;
}
