#include "runtime/text/servable_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/runtime/model/model_writers.h"

namespace baton {
namespace {

using testing::HasSubstr;

// A file of this model, for the test's length.
class File {
 public:
  explicit File(const test::GgufWriter& model) : path_(testing::TempDir() + "/servable-XXXXXX") {
    ::close(::mkstemp(path_.data()));
    std::ofstream(path_, std::ios::binary) << model.bytes();
  }
  ~File() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(ServableModel, says_what_a_model_is_and_how_much_it_weighs) {
  const File file{test::tiny_gguf()};
  const auto checked = check_servable(file.path(), "chatml", 0);
  ASSERT_TRUE(checked.ok()) << checked.error().message;
  EXPECT_EQ(checked->spec.context, 128u);
  const std::uint64_t layer = 32 + 32 * 32 + 2 * 16 * 32 + 32 * 32 + 32 + 3 * 64 * 32;
  EXPECT_EQ(checked->weight_bytes, 4 * (12 * 32 + 32 + 2 * layer));
  EXPECT_FALSE(checked->no_chat);
}

TEST(ServableModel, refuses_what_a_node_of_it_would_refuse) {
  const File file{test::tiny_gguf()};
  EXPECT_THAT(check_servable(file.path(), "chatml", 129).error().message, HasSubstr("context of 128"));
  EXPECT_EQ(check_servable("/nowhere.gguf", "", 0).error().code, ErrorCode::not_found);
  test::GgufWriter odd = test::tiny_gguf();
  odd.string("tokenizer.ggml.pre", "nonsense");
  EXPECT_THAT(check_servable(File{odd}.path(), "", 0).error().message, HasSubstr("nonsense"));
}

TEST(ServableModel, an_unknown_chat_template_is_told_apart_since_another_may_do) {
  const File file{test::tiny_gguf()};
  const auto unknown = check_servable(file.path(), "", 0), wrong = check_servable(file.path(), "nonsense", 0);
  ASSERT_TRUE(unknown.ok() && wrong.ok());
  EXPECT_THAT(unknown->no_chat->message, HasSubstr("choose one with --chat-template"));
  EXPECT_THAT(wrong->no_chat->message, HasSubstr("--chat-template takes chatml"));
}

}  // namespace
}  // namespace baton
