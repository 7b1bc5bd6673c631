#include <caf/config.hpp>
#include <cstdio>

#include "actors/cli/verbs.h"

namespace baton::cli {

void add_version_verb(CLI::App& app, int& status) {
  CLI::App* version = app.add_subcommand("version", "Versions of baton and of what it is built on");
  version->callback([&status] {
    std::printf("baton %s\ncaf %d.%d.%d\n", BATON_VERSION, CAF_VERSION / 10000, CAF_VERSION / 100 % 100, CAF_VERSION % 100);
    status = kDone;
  });
}

}  // namespace baton::cli
