#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runtime/model/loaded_model.h"
#include "tests/default_model.h"
#include "tests/python_helpers.h"
#include "tests/runtime/model/model_writers.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LoadModel : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::path(::testing::TempDir()) / ("baton_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& content) const {
    const fs::path path = directory_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }
  void write(test::TinyHf model) const {
    const HfFiles files = model.files();
    write("config.json", files.config);
    write("tokenizer.json", files.tokenizer);
    write("tokenizer_config.json", files.tokenizer_config);
    for (const HfShard& shard : files.shards) {
      write(shard.name, std::string(reinterpret_cast<const char*>(shard.bytes.data()), shard.bytes.size()));
    }
  }

  fs::path directory_;
};

TEST_F(LoadModel, the_default_model_is_what_its_authors_published) {
  if (!fs::exists(test::default_model_path())) GTEST_SKIP() << "the default model is not at " << test::default_model_path();
  const auto model = load_model(test::default_model_path());
  ASSERT_TRUE(model.ok()) << model.error().message;
  const ModelSpec& spec = (*model)->spec();
  EXPECT_EQ(spec.architecture, "llama");
  EXPECT_EQ(spec.embedding, 576u);
  EXPECT_EQ(spec.layers, 30u);
  EXPECT_EQ(spec.heads, 9u);
  EXPECT_EQ(spec.kv_heads, 3u);
  EXPECT_EQ(spec.head_dim, 64u);
  EXPECT_EQ(spec.rope_dim, 64u);
  EXPECT_EQ(spec.feed_forward, 1536u);
  EXPECT_EQ(spec.vocabulary, 49152u);
  EXPECT_EQ(spec.context, 8192u);
  EXPECT_EQ(spec.rope_base, 100000.0);
  EXPECT_EQ(spec.rope_scaling.kind, RopeScaling::Kind::none);
  EXPECT_EQ(spec.norm_epsilon, 1e-5f);
  EXPECT_TRUE(spec.tied);
  EXPECT_EQ((*model)->embedding().type, TensorType::q8_0);
  EXPECT_EQ((*model)->layer(29).down.type, TensorType::q4_1);
  const VocabularySource& v = (*model)->vocabulary();
  EXPECT_EQ(v.pieces.size(), 49152u);
  EXPECT_EQ(v.merges.size(), 48900u);
  EXPECT_EQ(v.pre_tokenizer, "smollm");
  EXPECT_EQ(v.bos, 1);
  EXPECT_THAT(v.eos, ElementsAre(2, 0));
  EXPECT_FALSE(v.add_bos);
  EXPECT_THAT((*model)->chat_template(), HasSubstr("<|im_start|>"));
}

TEST_F(LoadModel, fingerprint_is_of_what_is_computed_and_does_not_depend_on_how_it_was_loaded) {
  const std::string path = write("tiny.gguf", test::tiny_gguf().bytes());
  const auto full = load_model(path);
  const auto light = load_model(path, {.weights = false});
  ASSERT_TRUE(full.ok() && light.ok());
  EXPECT_EQ((*full)->fingerprint(), (*light)->fingerprint());

  test::GgufWriter renamed = test::tiny_gguf();
  renamed.string("general.name", "another");
  EXPECT_EQ((*load_model(write("renamed.gguf", renamed.bytes())))->fingerprint(), (*full)->fingerprint());

  test::GgufWriter scaled = test::tiny_gguf();
  scaled.f32("llama.rope.freq_base", 10001.0f);
  EXPECT_NE((*load_model(write("scaled.gguf", scaled.bytes())))->fingerprint(), (*full)->fingerprint());

  std::string bytes = test::tiny_gguf().bytes();
  bytes.back() ^= 1;   // the last weight of the last tensor
  EXPECT_NE((*load_model(write("flipped.gguf", bytes)))->fingerprint(), (*full)->fingerprint());
}

TEST_F(LoadModel, reads_a_directory_with_an_index_as_one_without) {
  write(test::tiny_hf());
  const auto whole = load_model(directory_.string());
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  fs::rename(directory_ / "model.safetensors", directory_ / "model-00001-of-00001.safetensors");
  write("model.safetensors.index.json", R"({"weight_map": {"model.norm.weight": "model-00001-of-00001.safetensors"}})");
  const auto indexed = load_model(directory_.string());
  ASSERT_TRUE(indexed.ok()) << indexed.error().message;
  EXPECT_EQ((*indexed)->fingerprint(), (*whole)->fingerprint());
}

TEST_F(LoadModel, what_is_not_there_is_named) {
  const std::string nowhere = (directory_ / "nowhere").string();
  EXPECT_EQ(load_model(nowhere).error().code, ErrorCode::not_found);
  EXPECT_THAT(load_model(nowhere).error().message, HasSubstr("nowhere: cannot open"));
  EXPECT_THAT(load_model(directory_.string()).error().message, HasSubstr("config.json: cannot open"));
  write(test::tiny_hf());
  fs::remove(directory_ / "model.safetensors");
  EXPECT_THAT(load_model(directory_.string()).error().message, HasSubstr("neither model.safetensors nor"));
  write("model.safetensors.index.json", R"({"weight_map": {"a": "gone.safetensors"}})");
  EXPECT_THAT(load_model(directory_.string()).error().message, HasSubstr("gone.safetensors: cannot open"));
  EXPECT_THAT(load_model(write("empty.gguf", "")).error().message, HasSubstr("the file is empty"));
  EXPECT_EQ(load_model("/dev/null").error().code, ErrorCode::io_error);
}

TEST_F(LoadModel, reads_the_tiny_models_of_the_reference_tool) {
  const char* shared = std::getenv("BATON_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "BATON_SHARED is not set";
  const auto python = test::python_with_numpy();
  if (!python) GTEST_SKIP() << "python3 has no numpy: apt-get install python3-numpy";
  for (int seed = 1; seed <= 4; ++seed) {
    const std::string out = (directory_ / std::to_string(seed)).string();
    const std::string command = fmt::format("{} '{}/tools/make_tiny_llama.py' '{}' --seed {}", *python, shared, out, seed);
    ASSERT_EQ(std::system(command.c_str()), 0);
    const auto model = load_model(out);
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ((*model)->spec().vocabulary, 320u);
    EXPECT_EQ((*model)->vocabulary().merges.size(), 61u);
    EXPECT_THAT((*model)->vocabulary().eos, ElementsAre(2, 0));
    ASSERT_EQ((*model)->vocabulary().splits.size(), 2u);
    EXPECT_EQ((*model)->vocabulary().splits[0].kind, VocabularySource::Split::Kind::digits);
    EXPECT_THAT((*model)->chat_template(), HasSubstr("<|im_start|>"));
  }
}

}  // namespace
}  // namespace baton
