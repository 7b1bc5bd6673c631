#include "actors/descriptor_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace baton {
namespace {

TEST(DescriptorLimit, is_raised_to_all_that_the_process_may_have) {
  const DescriptorLimit before = descriptor_limit();
  const rlimit lower{before.hard / 2, before.hard};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
  EXPECT_EQ(descriptor_limit().soft, before.hard / 2);
  raise_descriptor_limit();
  EXPECT_EQ(descriptor_limit().soft, before.hard);
  EXPECT_EQ(descriptor_limit().hard, before.hard);
}

}  // namespace
}  // namespace baton
