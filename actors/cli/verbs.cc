#include <cstdio>
#include <iterator>
#include <vector>

#include "actors/cli/verbs.h"
#include "runtime/base/log.h"

namespace baton::cli {

CLI::Option* add_log_option(CLI::App& verb, std::string& level) {
  return add_option(verb, "--log", level, "What is logged on stderr: this level and those above it")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kLogLevels), std::end(kLogLevels))));
}

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
