// Finds spellings of special tokens in text: the leftmost, and of those that begin there the longest. A trie over bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/random.h"

namespace baton {

class SpecialMatcher {
 public:
  struct Match {
    std::size_t begin = 0;
    std::size_t end = 0;
    TokenId token = 0;
  };

  void add(std::string_view spelling, TokenId token);        // an empty spelling is never found
  std::optional<Match> find(std::string_view text, std::size_t from) const;
  std::optional<TokenId> exactly(std::string_view spelling) const;

 private:
  struct Hash {
    std::size_t operator()(std::uint64_t key) const { return mix64(key); }
  };
  static constexpr TokenId kNone = -1;
  static std::uint64_t edge(std::uint32_t node, char byte) { return (std::uint64_t{node} << 8) | static_cast<std::uint8_t>(byte); }

  std::unordered_map<std::uint64_t, std::uint32_t, Hash> edges_;
  std::vector<TokenId> token_of_node_ = {kNone};
  bool begins_[256] = {};                                    // some spelling begins with this byte
};

}  // namespace baton
