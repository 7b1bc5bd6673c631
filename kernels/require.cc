#include "kernels/require.h"

#include <cstdio>
#include <cstdlib>

namespace baton::kernels {

void requirement_failed(const char* file, int line, const char* condition, const char* rule) {
  std::fprintf(stderr, "%s:%d: required: %s (%s)\n", file, line, condition, rule);
  std::abort();
}

}  // namespace baton::kernels
