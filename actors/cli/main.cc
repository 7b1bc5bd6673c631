#include <sys/prctl.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "actors/cli/verbs.h"
#include "runtime/base/nearest.h"

namespace {

// A first word that is no verb, said by name: the parser would only say that a verb is missing.
bool is_wrong_verb(CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return false;
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (verb->get_name() == argv[1]) return false;
    verbs.push_back(verb->get_name());
  }
  std::fprintf(stderr, "error: no verb \"%s\"%s\n", argv[1], baton::suggestion(argv[1], verbs).c_str());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  ::prctl(PR_SET_NAME, "baton");               // a child of serve is started as /proc/self/exe, and would be called "exe"
  CLI::App app{"Baton serves large language models, prefill and decode apart: CAF actors, KV cache over UCX."};
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "Help of every verb");
  int status = baton::cli::kDone;
  for (const baton::cli::AddVerb add : baton::cli::kVerbs) add(app, status);
  app.set_version_flag("--version", baton::cli::version_text);
  if (is_wrong_verb(app, argc, argv)) return baton::cli::kMisused;
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
