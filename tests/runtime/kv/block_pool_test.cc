#include "runtime/kv/block_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/kv/block_table.h"
#include "runtime/kv/prefix_identity.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint32_t kBlockTokens = 4;

BlockPool pool_of(std::uint32_t blocks, bool cache = true) {
  return BlockPool({.blocks = blocks, .block_tokens = kBlockTokens, .prefix_cache = cache});
}

std::vector<TokenId> tokens(std::uint32_t count, TokenId first = 100) {
  std::vector<TokenId> out;
  for (std::uint32_t i = 0; i < count; ++i) out.push_back(first + static_cast<TokenId>(i));
  return out;
}

std::vector<Hash128> chain_of(const std::vector<TokenId>& all) {
  std::vector<Hash128> chain;
  extend_chain(chain, all, kBlockTokens);
  return chain;
}

// A table that stored and published `all`.
BlockTable stored(const std::vector<TokenId>& all, BlockPool& pool) {
  BlockTable table;
  EXPECT_TRUE(table.grow_to(all.size(), pool));
  const auto chain = chain_of(all);
  for (std::size_t i = 0; i < chain.size(); ++i) {
    pool.publish(table.blocks()[i], chain[i], std::span{all}.subspan(i * kBlockTokens, kBlockTokens));
  }
  return table;
}

TEST(BlockPool, allocates_all_or_nothing) {
  BlockPool pool = pool_of(3);
  std::vector<BlockId> taken;
  EXPECT_FALSE(pool.allocate(4, taken));
  EXPECT_THAT(taken, IsEmpty());
  EXPECT_TRUE(pool.allocate(3, taken));
  EXPECT_EQ(pool.used(), 3u);
  EXPECT_FALSE(pool.allocate(1, taken));
  pool.check_invariants();
}

TEST(BlockPool, keeps_a_block_until_its_last_holder_lets_go) {
  BlockPool pool = pool_of(1);
  std::vector<BlockId> taken;
  ASSERT_TRUE(pool.allocate(1, taken));
  pool.share(taken[0]);
  pool.release(taken[0]);
  EXPECT_EQ(pool.available(), 0u);
  pool.release(taken[0]);
  EXPECT_EQ(pool.available(), 1u);
}

TEST(BlockPool, finds_a_published_prefix_after_its_release_and_shares_it_without_a_copy) {
  BlockPool pool = pool_of(8);
  const auto all = tokens(12);
  BlockTable first = stored(all, pool);
  const std::vector<BlockId> blocks = first.blocks();
  first.release(pool);
  EXPECT_EQ(pool.used(), 0u);
  EXPECT_EQ(pool.cached(), 3u);

  EXPECT_EQ(pool.match(all, chain_of(all)), blocks);
  BlockTable second, third;
  second.adopt(blocks, pool);
  third.adopt(blocks, pool);
  EXPECT_EQ(pool.used(), 3u);
  EXPECT_EQ(pool.references(blocks[0]), 2u);
  second.release(pool);
  third.release(pool);
  pool.check_invariants();
}

TEST(BlockPool, matches_only_as_far_as_the_tokens_are_equal) {
  BlockPool pool = pool_of(8);
  const auto all = tokens(12);
  BlockTable table = stored(all, pool);
  auto other = all;
  other[5] = 7;                                            // in the second block
  EXPECT_THAT(pool.match(other, chain_of(other)), ElementsAre(table.blocks()[0]));
  EXPECT_THAT(pool.match(tokens(12, 500), chain_of(tokens(12, 500))), IsEmpty());
  table.release(pool);
}

TEST(BlockPool, does_not_believe_a_hash_whose_tokens_differ) {
  BlockPool pool = pool_of(8);
  const auto all = tokens(4), other = tokens(4, 900);
  BlockTable table = stored(all, pool);
  EXPECT_THAT(pool.match(other, chain_of(all)), IsEmpty());      // as if other's chain collided with all's
  table.release(pool);
}

TEST(BlockPool, keeps_one_block_an_identity_and_leaves_the_second_anonymous) {
  BlockPool pool = pool_of(4);
  const auto all = tokens(4);
  BlockTable first = stored(all, pool), second = stored(all, pool);
  EXPECT_EQ(pool.match(all, chain_of(all)), first.blocks());
  second.release(pool);
  EXPECT_EQ(pool.cached(), 0u);
  first.release(pool);
  EXPECT_EQ(pool.cached(), 1u);
  pool.check_invariants();
}

TEST(BlockPool, evicts_the_least_recently_used_prefix_and_of_a_prefix_its_tail_first) {
  BlockPool pool = pool_of(4);
  const auto old = tokens(8), recent = tokens(8, 500);
  stored(old, pool).release(pool);
  stored(recent, pool).release(pool);
  std::vector<BlockId> taken;
  ASSERT_TRUE(pool.allocate(1, taken));
  EXPECT_EQ(pool.match(old, chain_of(old)).size(), 1u);
  EXPECT_EQ(pool.match(recent, chain_of(recent)).size(), 2u);
  ASSERT_TRUE(pool.allocate(1, taken));
  EXPECT_EQ(pool.match(old, chain_of(old)).size(), 0u);
  EXPECT_EQ(pool.match(recent, chain_of(recent)).size(), 2u);
  pool.check_invariants();
}

TEST(BlockPool, never_evicts_a_referenced_block) {
  BlockPool pool = pool_of(2);
  const auto all = tokens(4);
  BlockTable held = stored(all, pool);
  std::vector<BlockId> taken;
  ASSERT_TRUE(pool.allocate(1, taken));
  EXPECT_FALSE(pool.allocate(1, taken));
  EXPECT_EQ(pool.match(all, chain_of(all)), held.blocks());
}

TEST(BlockPool, remembers_nothing_without_a_prefix_cache) {
  BlockPool pool = pool_of(4, false);
  const auto all = tokens(4);
  stored(all, pool).release(pool);
  EXPECT_EQ(pool.cached(), 0u);
  EXPECT_THAT(pool.match(all, chain_of(all)), IsEmpty());
}

TEST(BlockTable, forks_by_sharing_full_blocks_and_copying_the_partial_one) {
  BlockPool pool = pool_of(8);
  BlockTable table;
  ASSERT_TRUE(table.grow_to(10, pool));                    // two full blocks and one half full
  auto fork = table.fork(10, pool);
  ASSERT_TRUE(fork);
  EXPECT_EQ(fork->table.blocks()[0], table.blocks()[0]);
  EXPECT_EQ(fork->table.blocks()[1], table.blocks()[1]);
  ASSERT_TRUE(fork->copy);
  EXPECT_EQ(fork->copy->first, table.blocks()[2]);
  EXPECT_EQ(fork->copy->second, fork->table.blocks()[2]);
  EXPECT_EQ(pool.references(table.blocks()[2]), 2u);       // pinned until it is copied
  pool.release(fork->copy->first);
  fork->table.release(pool);
  table.release(pool);
  EXPECT_EQ(pool.used(), 0u);
}

TEST(BlockTable, forks_at_a_block_boundary_without_a_copy) {
  BlockPool pool = pool_of(2);
  BlockTable table;
  ASSERT_TRUE(table.grow_to(8, pool));
  auto fork = table.fork(8, pool);
  ASSERT_TRUE(fork);
  EXPECT_FALSE(fork->copy);
  fork->table.release(pool);
  table.release(pool);
}

TEST(BlockTable, does_not_fork_a_partial_block_without_room) {
  BlockPool pool = pool_of(2);
  BlockTable table;
  ASSERT_TRUE(table.grow_to(7, pool));
  EXPECT_FALSE(table.fork(7, pool));
  EXPECT_EQ(pool.references(table.blocks()[0]), 1u);
  table.release(pool);
}

TEST(PrefixIdentity, depends_on_every_token_before_the_blocks_end_and_on_no_later_one) {
  const auto all = tokens(10);
  const auto identities = block_identities(all, kBlockTokens);
  ASSERT_EQ(identities.size(), 3u);
  for (std::size_t changed = 0; changed < all.size(); ++changed) {
    auto other = all;
    other[changed] += 1;
    const auto differing = block_identities(other, kBlockTokens);
    for (std::size_t block = 0; block < 3; ++block) EXPECT_EQ(identities[block] == differing[block], block < changed / kBlockTokens);
  }
}

TEST(PrefixIdentity, of_a_partial_block_differs_from_that_of_the_full_one) {
  EXPECT_NE(block_identities(tokens(6), kBlockTokens)[1], block_identities(tokens(8), kBlockTokens)[1]);
  EXPECT_EQ(block_identities(tokens(6), kBlockTokens)[0], block_identities(tokens(8), kBlockTokens)[0]);
  EXPECT_THAT(block_identities({}, kBlockTokens), IsEmpty());
}

}  // namespace
}  // namespace baton
