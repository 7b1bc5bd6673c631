// The word that a misspelt one was meant to be, or none.
#include "runtime/base/nearest.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(Nearest, counts_edits_and_swaps_of_neighbours) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("role", "role"), 0u);
  EXPECT_EQ(edit_distance("rolle", "role"), 1u);
  EXPECT_EQ(edit_distance("rloe", "role"), 1u);
  EXPECT_EQ(edit_distance("sitting", "kitten"), 3u);
}

TEST(Nearest, names_a_word_only_if_it_may_have_been_meant) {
  const std::vector<std::string> known = {"prefill", "decode", "mixed"};
  EXPECT_EQ(nearest_word("prefil", known), "prefill");
  EXPECT_EQ(nearest_word("mixd", known), "mixed");
  EXPECT_EQ(nearest_word("zzzzzz", known), "");
  EXPECT_EQ(suggestion("decod", known), "; did you mean \"decode\"?");
  EXPECT_EQ(suggestion("zzzzzz", known), "; known: prefill, decode, mixed");
}

}  // namespace
}  // namespace baton
