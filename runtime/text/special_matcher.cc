#include "runtime/text/special_matcher.h"

namespace baton {

void SpecialMatcher::add(std::string_view spelling, TokenId token) {
  if (spelling.empty()) return;
  begins_[static_cast<std::uint8_t>(spelling.front())] = true;
  std::uint32_t node = 0;
  for (const char byte : spelling) {
    const auto [place, fresh] = edges_.try_emplace(edge(node, byte), static_cast<std::uint32_t>(token_of_node_.size()));
    if (fresh) token_of_node_.push_back(kNone);
    node = place->second;
  }
  token_of_node_[node] = token;
}

std::optional<SpecialMatcher::Match> SpecialMatcher::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[static_cast<std::uint8_t>(text[begin])]) continue;
    std::optional<Match> longest;
    std::uint32_t node = 0;
    for (std::size_t i = begin; i < text.size(); ++i) {
      const auto next = edges_.find(edge(node, text[i]));
      if (next == edges_.end()) break;
      node = next->second;
      if (token_of_node_[node] != kNone) longest = Match{begin, i + 1, token_of_node_[node]};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

std::optional<TokenId> SpecialMatcher::exactly(std::string_view spelling) const {
  std::uint32_t node = 0;
  for (const char byte : spelling) {
    const auto next = edges_.find(edge(node, byte));
    if (next == edges_.end()) return std::nullopt;
    node = next->second;
  }
  if (token_of_node_[node] == kNone) return std::nullopt;
  return token_of_node_[node];
}

}  // namespace baton
