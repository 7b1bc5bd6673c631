// The process's log: spdlog on stderr, one line an event, `component key=value` where it helps a search. Set up once by main.
// Libraries log only what they decide themselves.
#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

namespace baton {

inline constexpr const char* kLogLevels[] = {"trace", "debug", "info", "warn", "error", "off"};

// `level` is one of kLogLevels; `name` appears in every line (the node's name). Call once, before any thread is started.
void start_log(std::string_view name, std::string_view level);

}  // namespace baton
