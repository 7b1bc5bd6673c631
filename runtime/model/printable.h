// Names that come from a file and go to a terminal or a log: printable ASCII, and not endless.
#pragma once

#include <string>
#include <string_view>

namespace baton {

inline std::string printable(std::string_view name) {
  constexpr std::size_t kLongest = 100;
  std::string out;
  for (const char c : name.substr(0, kLongest)) out += c >= 0x20 && c < 0x7f ? c : '?';
  if (name.size() > kLongest) out += "...";
  return out;
}

}  // namespace baton
