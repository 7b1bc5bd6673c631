// CHECK(condition, "message {}", values...): a programmer's error. On in every build; prints and ends the process, so that
// the supervisor acts. What a user, a peer or a file can cause is an Error (result.h), never a CHECK.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>

namespace baton {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace baton

#define CHECK(condition, ...)                                                                     \
  do {                                                                                            \
    if (!(condition)) [[unlikely]]                                                                \
      ::baton::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__));        \
  } while (false)
