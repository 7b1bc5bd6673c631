// What the tests of traces and workloads share: the published traces and golden data, where they are.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace baton::test {

// BATON_SHARED is a folder with golden/ and traces/; empty when it is not set.
inline std::string shared_folder() {
  const char* folder = std::getenv("BATON_SHARED");
  return folder ? folder : "";
}

}  // namespace baton::test

#define SKIP_WITHOUT_SHARED() \
  if (::baton::test::shared_folder().empty()) GTEST_SKIP() << "BATON_SHARED is not set: no published traces to read"
