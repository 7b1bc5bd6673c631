// Files of configs/ inside the program, so that it needs none beside it. Which ones: baton_embed() in runtime/CMakeLists.txt.
#pragma once

#include <string_view>

namespace baton::sim {

// The text of a file by its path below configs/, such as "profiles/distserve_models.yaml"; empty when it was not embedded.
std::string_view embedded(std::string_view name);

}  // namespace baton::sim
