#include <caf/config.hpp>
#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <memory>

#include "actors/cli/verbs.h"
#include "transport/ucx_fabric.h"

namespace baton::cli {

void add_version_verb(CLI::App& app, int& status) {
  CLI::App* version = app.add_subcommand("version", "Versions of baton and of what it is built on");
  const auto json = std::make_shared<bool>(false);
  add_flag(*version, "--json", *json, "One JSON object instead of text");
  version->callback([json, &status] {
    const std::string caf = fmt::format("{}.{}.{}", CAF_VERSION / 10000, CAF_VERSION / 100 % 100, CAF_VERSION % 100);
    const transport::UcxVersion ucx = transport::ucx_version();
    const char* format = *json ? R"({{"version": "{}", "caf": "{}", "ucx": "{}.{}"}})" "\n" : "baton {}\ncaf {}\nucx {}.{}\n";
    std::fputs(fmt::format(fmt::runtime(format), BATON_VERSION, caf, ucx.major, ucx.minor).c_str(), stdout);
    status = kDone;
  });
}

}  // namespace baton::cli
