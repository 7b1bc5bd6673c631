#include <cstdio>

#include "actors/cli/verbs.h"

namespace baton::cli {

int report(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  switch (error.code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::invalid_config:
    case ErrorCode::invalid_file:
    case ErrorCode::not_found:
    case ErrorCode::address_in_use:
    case ErrorCode::unsupported:
      return kMisused;
    default:
      return kFailed;
  }
}

}  // namespace baton::cli
