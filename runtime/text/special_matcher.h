// Finds spellings of special tokens in text: the leftmost, and of those that begin there the longest; with the white space around it
// that a token takes. A trie over bytes.
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

  struct Strips {
    bool left = false;
    bool right = false;
  };

  void add(std::string_view spelling, TokenId token, Strips strips);        // an empty spelling is never found
  // What a match takes on its left goes back to `from` at most.
  std::optional<Match> find(std::string_view text, std::size_t from) const;
  std::optional<TokenId> exactly(std::string_view spelling) const;

 private:
  struct Hash {
    std::size_t operator()(std::uint64_t key) const { return mix64(key); }
  };
  static constexpr TokenId kNone = -1;
  struct Node {
    TokenId token = kNone;
    Strips strips;
  };
  static std::uint64_t edge(std::uint32_t node, char byte) { return (std::uint64_t{node} << 8) | static_cast<std::uint8_t>(byte); }

  std::unordered_map<std::uint64_t, std::uint32_t, Hash> edges_;
  std::vector<Node> nodes_ = {Node{}};
  bool begins_[256] = {};                                    // some spelling begins with this byte
};

}  // namespace baton
