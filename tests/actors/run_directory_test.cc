#include "actors/run_directory.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace baton {
namespace {

TEST(RunDirectory, is_private_and_gone_with_its_owner) {
  std::string path;
  {
    auto made = RunDirectory::make();
    ASSERT_TRUE(made.ok());
    const RunDirectory moved = std::move(*made);
    path = moved.path();
    ASSERT_TRUE(moved.write("file", "text").ok());
    EXPECT_EQ(::access((path + "/file").c_str(), R_OK), 0);
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace baton
