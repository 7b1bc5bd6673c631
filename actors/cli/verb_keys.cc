#include <cstdio>
#include <memory>
#include <string>

#include "actors/cli/verbs.h"
#include "actors/keys.h"

namespace baton::cli {
namespace {

struct KeysFlags {
  std::string dir;
  std::string name;
  int days = 3650;
};

int init(const KeysFlags& flags) {
  if (const Status made = make_authority(flags.dir); !made) return report(made.error());
  std::printf("%s/ca.pem   give it to every node\n%s/ca.key   keep it; whoever has it can join the cluster\n", flags.dir.c_str(),
              flags.dir.c_str());
  return kDone;
}

int issue(const KeysFlags& flags) {
  const auto issued = issue_key(flags.dir, flags.name, flags.days);
  if (!issued) return report(issued.error());
  std::printf("%s\n%s\n", issued->certificate.c_str(), issued->key.c_str());
  return kDone;
}

}  // namespace

void add_keys_verb(CLI::App& app, int& status) {
  const auto flags = std::make_shared<KeysFlags>();
  CLI::App* keys = app.add_subcommand("keys", "Keys of a cluster's control plane (mutual TLS)");
  keys->require_subcommand(1);
  CLI::App* init_verb = keys->add_subcommand("init", "Make a certificate authority in DIR");
  init_verb->add_option("dir", flags->dir, "Folder, made if missing")->required();
  init_verb->callback([flags, &status] { status = init(*flags); });
  CLI::App* issue_verb = keys->add_subcommand("issue", "Issue a certificate and key for one node");
  issue_verb->add_option("dir", flags->dir, "Folder of the authority")->required();
  issue_verb->add_option("name", flags->name, "The node's name in the cluster file")->required();
  add_option(*issue_verb, "--days", flags->days, "Days until it ends")->check(CLI::Range(1, 36500));
  issue_verb->callback([flags, &status] { status = issue(*flags); });
}

}  // namespace baton::cli
