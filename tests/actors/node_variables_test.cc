#include "actors/node_variables.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace baton {
namespace {

using testing::HasSubstr;

class NodeVariablesTest : public testing::Test {
 protected:
  NodeVariablesTest() { clear(); }
  ~NodeVariablesTest() override { clear(); }
  static void clear() {
    ::unsetenv("BATON_ISA");
    ::unsetenv("BATON_FAULT");
  }
};

TEST_F(NodeVariablesTest, are_nothing_unless_set) {
  const auto variables = node_variables();
  ASSERT_TRUE(variables.ok());
  EXPECT_EQ(variables->isa, "");
  EXPECT_EQ(variables->flip_bit_in_piece, 0u);
}

TEST_F(NodeVariablesTest, say_which_kernels_run_and_which_piece_is_corrupted) {
  ::setenv("BATON_ISA", "avx2", 1);
  ::setenv("BATON_FAULT", "flip_bit:17", 1);
  const auto variables = node_variables();
  ASSERT_TRUE(variables.ok());
  EXPECT_EQ(variables->isa, "avx2");
  EXPECT_EQ(variables->flip_bit_in_piece, 17u);
}

TEST_F(NodeVariablesTest, are_refused_with_what_they_may_be) {
  for (const char* fault : {"flip_bit", "flip_bit:", "flip_bit:0", "flip_bit:-1", "flip_bit:3x", "bit_flip:3", "3"}) {
    ::setenv("BATON_FAULT", fault, 1);
    ASSERT_FALSE(node_variables().ok()) << fault;
    EXPECT_THAT(node_variables().error().message, HasSubstr("flip_bit:N"));
  }
  ::unsetenv("BATON_FAULT");
  ::setenv("BATON_ISA", "AVX2", 1);
  ASSERT_FALSE(node_variables().ok());
  EXPECT_THAT(node_variables().error().message, HasSubstr("scalar, avx2 or avx512"));
}

}  // namespace
}  // namespace baton
