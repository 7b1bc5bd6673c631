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

}  // namespace
}  // namespace baton
