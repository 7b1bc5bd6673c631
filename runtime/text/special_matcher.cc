#include "runtime/text/special_matcher.h"

#include "runtime/text/utf8.h"

namespace baton {
namespace {

bool is_white_space(char32_t c) {        // Unicode's property White_Space
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// The front of the white space that ends at `end`, not before `from`.
std::size_t white_space_begins(std::string_view text, std::size_t from, std::size_t end) {
  while (end > from) {
    std::size_t begin = end - 1;
    while (begin > from && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    std::size_t at = begin;
    if (!is_white_space(next_code_point(text, at)) || at != end) break;
    end = begin;
  }
  return end;
}

std::size_t white_space_ends(std::string_view text, std::size_t begin) {
  for (std::size_t at = begin; at < text.size() && is_white_space(next_code_point(text, at));) begin = at;
  return begin;
}

}  // namespace

void SpecialMatcher::add(std::string_view spelling, TokenId token, Strips strips) {
  if (spelling.empty()) return;
  begins_[static_cast<std::uint8_t>(spelling.front())] = true;
  std::uint32_t node = 0;
  for (const char byte : spelling) {
    const auto [place, fresh] = edges_.try_emplace(edge(node, byte), static_cast<std::uint32_t>(nodes_.size()));
    if (fresh) nodes_.emplace_back();
    node = place->second;
  }
  nodes_[node] = {token, strips};
}

std::optional<SpecialMatcher::Match> SpecialMatcher::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[static_cast<std::uint8_t>(text[begin])]) continue;
    std::optional<Match> longest;
    Strips strips;
    std::uint32_t node = 0;
    for (std::size_t i = begin; i < text.size(); ++i) {
      const auto next = edges_.find(edge(node, text[i]));
      if (next == edges_.end()) break;
      node = next->second;
      if (nodes_[node].token == kNone) continue;
      longest = Match{begin, i + 1, nodes_[node].token};
      strips = nodes_[node].strips;
    }
    if (!longest) continue;
    if (strips.left) longest->begin = white_space_begins(text, from, longest->begin);
    if (strips.right) longest->end = white_space_ends(text, longest->end);
    return longest;
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
  if (nodes_[node].token == kNone) return std::nullopt;
  return nodes_[node].token;
}

}  // namespace baton
