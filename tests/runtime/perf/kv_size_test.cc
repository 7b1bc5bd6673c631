// The sizes that the literature prints.
#include "runtime/perf/kv_size.h"

#include <gtest/gtest.h>

namespace baton::perf {
namespace {

constexpr KvShape kLlama70b{.layers = 80, .kv_heads = 8, .head_size = 128};

TEST(KvSize, of_a_token_is_what_the_papers_state) {
  EXPECT_EQ(kv_bytes_per_token(kLlama70b), 327'680u);                                              // Mooncake
  EXPECT_EQ(kv_bytes_per_token({.layers = 40, .kv_heads = 40, .head_size = 128}), 819'200u);       // OPT-13B, DistServe
  EXPECT_EQ(kv_bytes_per_token({.layers = 64, .kv_heads = 72, .head_size = 128}), 2'359'296u);     // OPT-66B
  EXPECT_EQ(kv_bytes_per_token({.layers = 96, .kv_heads = 96, .head_size = 128}), 4'718'592u);     // OPT-175B
  EXPECT_EQ(kv_bytes_per_token({.layers = 70, .kv_heads = 112, .head_size = 128}), 4'014'080u);    // BLOOM-176B, Splitwise
  EXPECT_EQ(kv_bytes_per_token({.layers = 80, .kv_heads = 8, .head_size = 128, .value_bytes = 1}), 163'840u);
}

TEST(KvSize, of_a_block_and_of_a_long_prompt_follows) {
  EXPECT_EQ(512 * kv_bytes_per_token(kLlama70b), 160u << 20);                                      // a block of the traces
  EXPECT_EQ(512 * kv_bytes_per_token({.layers = 64, .kv_heads = 72, .head_size = 128}), 1152u << 20);   // DistServe's 1.125 GiB
}

}  // namespace
}  // namespace baton::perf
