#include <memory>
#include <string>

#include "actors/cli/verbs.h"
#include "actors/descriptor_limit.h"
#include "actors/node_process.h"
#include "actors/user_paths.h"
#include "runtime/base/log.h"

namespace baton::cli {
namespace {

struct NodeFlags {
  std::string config;
  std::string name;
  std::string log = "info";
  bool insecure = false;
  int drain_seconds = 10;
};

int run(const NodeFlags& flags) {
  raise_descriptor_limit();
  auto cluster = load_cluster_file(flags.config);
  if (!cluster) return report(cluster.error());
  cluster->security.insecure |= flags.insecure;
  start_log(flags.name, flags.log);
  const NodeEnd end = run_node(std::move(*cluster), {.name = flags.name, .drain = std::chrono::seconds{flags.drain_seconds}});
  if (end.status) return kDone;
  const int status = report(end.status.error());
  return end.started ? status : kCannotStart;
}

}  // namespace

void add_node_verb(CLI::App& app, int& status) {
  const auto flags = std::make_shared<NodeFlags>();
  CLI::App* node = app.add_subcommand("node", "Run one node of a cluster file");
  add_option(*node, "--config", flags->config, "The cluster file")->required();
  add_option(*node, "--name", flags->name, "Which of its nodes")->required();
  add_log_option(*node, flags->log);
  add_option(*node, "--drain-seconds", flags->drain_seconds, "How long SIGTERM waits for what is running")->check(CLI::NonNegativeNumber);
  add_flag(*node, "--insecure", flags->insecure, "No TLS and no authentication between nodes");
  node->callback([flags, &status] { status = run(*flags); });
}

}  // namespace baton::cli
