// The profiles that are compiled in, against the medians of the measurements rounded to 0.1 us.
#include "runtime/sim/splitwise_profile.h"

#include <gtest/gtest.h>

#include "runtime/sim/embedded.h"

namespace baton::test::splitwise {
namespace {

using namespace sim::splitwise;

struct Column {
  const char* model;
  const char* gpu;
  bool prompt;
  std::vector<double> ms;
};

TEST(SplitwiseProfile, holds_the_measured_medians) {
  const std::vector<Column> columns = {
      {"bloom-176b", "a100-80gb", true, {79.6684, 99.1640, 174.3823, 287.4673, 536.0555, 1332.6430, 3591.4681, 5782.0026, 11251.8280}},
      {"bloom-176b", "a100-80gb", false, {47.6121, 47.7067, 49.3130, 49.4425, 50.1882, 51.6313, 54.2739, 65.3805, 96.5830}},
      {"bloom-176b", "h100-80gb", true, {48.2844, 51.1795, 76.1418, 132.2170, 251.9640, 649.5983, 1411.5746, 2521.9093, 4996.4507}},
      {"bloom-176b", "h100-80gb", false, {35.7392, 36.1545, 36.1662, 36.3339, 36.7389, 37.5299, 39.0164, 45.8416, 63.8213}},
      {"llama2-70b", "a100-80gb", true, {65.3472, 66.7565, 93.0165, 160.8600, 282.7095, 708.3550, 1780.9668, 3524.5415, 7553.9927}},
      {"llama2-70b", "a100-80gb", false, {43.0313, 43.4834, 45.0331, 44.5616, 45.6973, 46.4734, 48.4708, 53.0170, 71.6051}},
      {"llama2-70b", "h100-80gb", true, {58.1854, 51.6585, 53.8580, 77.6839, 134.4232, 376.2156, 831.4856, 1551.7262, 2936.3297}},
      {"llama2-70b", "h100-80gb", false, {29.8727, 28.2666, 30.5617, 29.9730, 31.6349, 31.3291, 32.5923, 38.6194, 50.1608}},
  };
  for (const Column& column : columns) {
    const auto model = load_model(column.model);
    ASSERT_TRUE(model.ok()) << model.error().message;
    const StepTimes& times = model->times.at(column.gpu);
    double tokens = 128;
    for (const double ms : column.ms) {
      const Curve& curve = column.prompt ? times.prompt : times.token;
      EXPECT_NEAR(curve.at(tokens) * 1000, ms, 5e-5) << column.model << ' ' << column.gpu << ' ' << tokens;
      tokens *= 2;
    }
  }
}

TEST(SplitwiseProfile, makes_the_capped_gpu_slower_in_prompts_only) {
  const auto model = load_model("bloom-176b");
  ASSERT_TRUE(model.ok());
  const StepTimes& full = model->times.at("h100-80gb");
  const StepTimes& capped = model->times.at("h100-80gb-pcap");
  EXPECT_DOUBLE_EQ(capped.prompt.at(1500), 1.3 * full.prompt.at(1500));
  EXPECT_EQ(capped.token.at(17), full.token.at(17));
}

TEST(SplitwiseProfile, goes_on_beyond_its_ends_with_the_last_segments) {
  const Curve curve{{10, 20, 40}, {1, 2, 6}};
  EXPECT_EQ(curve.at(0), 0.0);
  EXPECT_EQ(curve.at(10), 1.0);
  EXPECT_EQ(curve.at(15), 1.5);
  EXPECT_EQ(curve.at(20), 2.0);
  EXPECT_EQ(curve.at(30), 4.0);
  EXPECT_EQ(curve.at(60), 10.0);
}

// Decodes are looked up by their number on an axis of prompt tokens, so that a batch of 64 costs as much as one.
TEST(SplitwiseProfile, finds_decode_steps_nearly_free_of_their_batch) {
  const auto model = load_model("bloom-176b");
  ASSERT_TRUE(model.ok());
  const Curve& a100 = model->times.at("a100-80gb").token;
  EXPECT_NEAR(a100.at(1) * 1000, 47.518, 5e-4);
  EXPECT_NEAR(a100.at(64) * 1000, 47.565, 5e-4);
  EXPECT_NEAR(a100.at(512) * 1000, 49.313, 5e-4);
  EXPECT_NEAR(model->times.at("h100-80gb").token.at(64) * 1000, 35.532, 5e-4);
}

TEST(SplitwiseProfile, counts_kv_without_grouped_queries) {
  EXPECT_EQ(load_model("bloom-176b")->kv_bytes_per_token, 4'014'080);
  EXPECT_EQ(load_model("llama2-70b")->kv_bytes_per_token, 2'621'440);
  const auto hardware = load_hardware();
  ASSERT_TRUE(hardware.ok()) << hardware.error().message;
  for (const Gpu& gpu : hardware->gpus) EXPECT_EQ(gpu.machine_memory_bytes, 687'194'767'360) << gpu.name;
}

TEST(SplitwiseProfile, names_the_nearest_model) {
  EXPECT_EQ(load_model("bloom-167b").error().message,
            "--model bloom-167b was not measured by Splitwise's authors; did you mean \"bloom-176b\"?");
  EXPECT_EQ(load_model("").error().message, "which model? name it with --model: bloom-176b or llama2-70b");
}

TEST(Embedded, finds_files_by_name_and_nothing_else) {
  EXPECT_TRUE(sim::embedded("profiles/splitwise_machines.yaml").starts_with("# The machines of Splitwise's evaluation"));
  EXPECT_TRUE(sim::embedded("splitwise").empty());
  EXPECT_TRUE(sim::embedded("").empty());
}

}  // namespace
}  // namespace baton::test::splitwise
