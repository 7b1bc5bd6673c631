#include <caf/config.hpp>
#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <memory>

#include "actors/cli/verbs.h"
#include "transport/ucx_fabric.h"

namespace baton::cli {

namespace {

struct Versions {
  std::string caf, ucx;
};

Versions versions() {
  const transport::UcxVersion ucx = transport::ucx_version();
  return {fmt::format("{}.{}.{}", CAF_VERSION / 10000, CAF_VERSION / 100 % 100, CAF_VERSION % 100),
          fmt::format("{}.{}", ucx.major, ucx.minor)};
}

}  // namespace

std::string version_text() {
  const auto [caf, ucx] = versions();
  return fmt::format("baton {}\ncaf {}\nucx {}", BATON_VERSION, caf, ucx);
}

void add_version_verb(CLI::App& app, int& status) {
  CLI::App* version = app.add_subcommand("version", "Versions of baton and of what it is built on");
  const auto json = std::make_shared<bool>(false);
  add_flag(*version, "--json", *json, "One JSON object instead of text");
  version->callback([json, &status] {
    const auto [caf, ucx] = versions();
    const std::string object = fmt::format(R"({{"version": "{}", "caf": "{}", "ucx": "{}"}})", BATON_VERSION, caf, ucx);
    std::puts(*json ? object.c_str() : version_text().c_str());
    status = kDone;
  });
}

}  // namespace baton::cli
