// The Python that runs reference programs.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace baton::test {

// The first of these that has numpy: Debian's package goes with Debian's own interpreter, which need not be the first on PATH.
inline std::optional<std::string> python_with_numpy() {
  for (const std::string python : {"python3", "/usr/bin/python3"}) {
    if (std::system((python + " -c 'import numpy' >/dev/null 2>&1").c_str()) == 0) return python;
  }
  return std::nullopt;
}

}  // namespace baton::test
