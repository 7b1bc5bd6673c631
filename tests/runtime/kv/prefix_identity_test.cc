// Equal identities name equal prefixes, and only those.
#include "runtime/kv/prefix_identity.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "runtime/base/random.h"

namespace baton {
namespace {

TEST(PrefixIdentity, is_equal_exactly_where_the_prefixes_are) {
  constexpr std::uint32_t kBlockTokens = 3;
  Random random{5};
  std::map<std::vector<TokenId>, Hash128> of_prefix;
  std::map<Hash128, std::vector<TokenId>> prefix_of;
  std::size_t met_again = 0;
  for (int i = 0; i < 4000; ++i) {
    std::vector<TokenId> tokens;                           // of an alphabet of two, so that prefixes are met again
    for (std::uint64_t n = random.below(16); n > 0; --n) tokens.push_back(static_cast<TokenId>(random.below(2)));
    const auto identities = block_identities(tokens, kBlockTokens);
    ASSERT_EQ(identities.size(), (tokens.size() + kBlockTokens - 1) / kBlockTokens);
    for (std::size_t block = 0; block < identities.size(); ++block) {
      const std::size_t end = std::min<std::size_t>((block + 1) * kBlockTokens, tokens.size());
      const std::vector<TokenId> prefix(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(end));
      const auto [known, first] = of_prefix.emplace(prefix, identities[block]);
      met_again += !first;
      ASSERT_EQ(known->second, identities[block]);
      ASSERT_EQ(prefix_of.emplace(identities[block], prefix).first->second, prefix);
    }
  }
  EXPECT_GT(met_again, 1000u);
  EXPECT_EQ(of_prefix.size(), prefix_of.size());
}

TEST(PrefixIdentity, names_a_bounded_number_of_beginnings_and_the_same_in_shorter_and_longer_prompts) {
  struct Case { std::size_t tokens; std::uint32_t stride; std::size_t names; };
  std::vector<TokenId> all;
  for (int i = 0; i < 300'000; ++i) all.push_back(i % 977);
  const std::vector<Case> cases = {{0, 64, 0}, {63, 64, 0}, {64, 64, 1}, {2047, 64, 31}, {2111, 64, 32}, {2112, 128, 16},
                                   {4096, 128, 32}, {300'000, 16'384, 18}};
  std::map<std::size_t, std::uint64_t> by_end;
  for (const Case& c : cases) {
    const PrefixNames prefix = prefix_names(std::span{all}.first(c.tokens));
    EXPECT_EQ(prefix.stride, c.stride) << c.tokens;
    EXPECT_EQ(prefix.names.size(), c.names) << c.tokens;
    for (std::size_t i = 0; i < prefix.names.size(); ++i) {
      EXPECT_EQ(by_end.emplace((i + 1) * prefix.stride, prefix.names[i]).first->second, prefix.names[i]) << c.tokens << " " << i;
    }
  }
}

}  // namespace
}  // namespace baton
