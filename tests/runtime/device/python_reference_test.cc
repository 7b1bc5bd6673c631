// Random tiny models, written as Hugging Face directories by a script that also prints the logits of a forward pass in
// double: reader and device against a program that shares nothing with them. Needs python3 with numpy.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/python_helpers.h"
#include "tests/runtime/device/trace_helpers.h"

namespace baton {
namespace {

// What a command prints; nothing when it fails.
std::string output_of(const std::string& command) {
  std::string out;
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  char buffer[4096];
  for (std::size_t size; (size = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, size);
  return pclose(pipe) == 0 ? out : std::string{};
}

TEST(PythonReferenceSlow, gives_the_logits_of_random_hugging_face_models) {
  const char* shared = std::getenv("BATON_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "BATON_SHARED is not set";
  const auto python = test::python_with_numpy();
  if (!python) GTEST_SKIP() << "python3 has no numpy: apt-get install python3-numpy";
  const auto folder = std::filesystem::path{testing::TempDir()} / ("baton_tiny_" + std::to_string(getpid()));
  for (int seed = 1; seed <= 8; ++seed) {
    const auto tokens = random_tokens(40 + 11 * static_cast<std::size_t>(seed), 320, static_cast<std::uint64_t>(seed));
    const auto command = fmt::format("{} '{}/tools/make_tiny_llama.py' '{}' --seed {} --tokens {}", *python, shared,
                                     folder.string(), seed, fmt::join(tokens, ","));
    const auto reference = nlohmann::json::parse(output_of(command)).get<std::vector<double>>();
    const auto model = load_model(folder.string());
    ASSERT_TRUE(model.ok()) << model.error().message;
    for (const KvType type : {KvType::f32, KvType::bf16}) {
      const auto device = make_device(**model, {.kv_type = type});
      const auto logits = trace(*device, tokens, std::vector{33u}).logits;
      ASSERT_EQ(reference.size(), device->vocabulary());
      double worst = 0.0;
      for (std::size_t i = 0; i < reference.size(); ++i) {
        worst = std::max(worst, std::abs(logits[logits.size() - reference.size() + i] - reference[i]));
      }
      EXPECT_LT(worst, type == KvType::f32 ? 0.0005 : 0.1) << "seed " << seed;
    }
    std::filesystem::remove_all(folder);
  }
}

}  // namespace
}  // namespace baton
