// BATON_REQUIRE(condition, "what the caller must keep to"): a programmer's error, on in every build; says where and ends the process.
// Kernels check their shapes once a call with it; what a file or a user can cause is checked above, before a kernel is called.
#pragma once

namespace baton::kernels {

[[noreturn]] void requirement_failed(const char* file, int line, const char* condition, const char* rule);

}  // namespace baton::kernels

#define BATON_REQUIRE(condition, rule)                                                      \
  do {                                                                                      \
    if (!(condition)) [[unlikely]]                                                          \
      ::baton::kernels::requirement_failed(__FILE__, __LINE__, #condition, rule);           \
  } while (false)
