#include <cstdio>
#include <exception>

#include "actors/cli/verbs.h"

int main(int argc, char** argv) {
  CLI::App app{"Baton serves large language models, prefill and decode apart: CAF actors, KV cache over UCX."};
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "Help of every verb");
  int status = baton::cli::kDone;
  for (const baton::cli::AddVerb add : baton::cli::kVerbs) add(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return baton::cli::kMisused;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return baton::cli::kFailed;
  }
  return status;
}
