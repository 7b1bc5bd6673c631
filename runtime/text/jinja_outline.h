// A chat template's Jinja text brought to one spelling, so that two texts of the same program compare equal: white space, quotes,
// escapes, comments, a["b"] for a.b, how output is cut into tags, and markers of training (generation) make no difference.
// Branches on `tools` are decided, since none are ever given. It is read, never run.
//
//   {%- for m in messages -%}{{ '<|s|>' ~ m['role'] }}{{"\n"}}{% endfor %}
//   -> for m in messages; out "<|s|>" ~ m.role ~ "\n"; endfor
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace baton {

struct JinjaOutline {
  std::string program;                     // the literal that a default system message stands in has kOutlineSystem in its place
  std::optional<std::string> system;       // that message
};

inline constexpr std::string_view kOutlineSystem = "$SYSTEM";

// Nothing: not well formed (an open tag or string), or longer than any chat template.
std::optional<JinjaOutline> outline_of(std::string_view jinja);

}  // namespace baton
