// The files of configs/profiles/, compiled into the program so that it needs no others (baton_embed in runtime/CMakeLists.txt).
#pragma once

#include <string_view>

namespace baton::sim {

// The text of a file by its name without the folder, "splitwise_machines.yaml"; empty when there is no such file.
std::string_view embedded(std::string_view name);

}  // namespace baton::sim
