#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include "runtime/config/cluster_config.h"

namespace baton {
namespace {

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 63 && name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

std::string check_names_and_addresses(const ClusterConfig& config) {
  std::map<std::string, std::string> names, addresses;       // to the key path of the first
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    const NodeConfig& node = config.nodes[i];
    const std::string path = fmt::format("nodes[{}]", i);
    if (!is_name(node.name)) {
      return fmt::format("{}.name: must be 1 to 63 letters, digits, '-', '_' or '.', not \"{}\"", path, node.name);
    }
    if (const auto [first, fresh] = names.emplace(node.name, path); !fresh) {
      return fmt::format("{}.name: {} is also {}; names tell nodes apart", path, node.name, first->second);
    }
    std::vector<std::pair<std::string, HostPort>> used{{path + ".control", node.control}};
    if (node.role == Role::gateway) used.emplace_back(path + ".http", node.http);
    if (is_instance(node.role)) used.emplace_back(path + ".data", node.data);
    for (const auto& [key, address] : used) {
      if (address.port == 0) continue;
      if (const auto [first, fresh] = addresses.emplace(to_string(address), key); !fresh) {
        return fmt::format("{}: {} is also {}; each needs a port of its own", key, to_string(address), first->second);
      }
    }
  }
  return {};
}

std::string check_roles(const ClusterConfig& config) {
  const auto count = [&](auto predicate) {
    return std::count_if(config.nodes.begin(), config.nodes.end(), [&](const NodeConfig& n) { return predicate(n.role); });
  };
  const auto schedulers = count([](Role r) { return r == Role::scheduler; });
  if (schedulers != 1) return fmt::format("nodes: {} have the role scheduler; a cluster has one", schedulers);
  if (count([](Role r) { return r == Role::gateway; }) == 0) return "nodes: nobody serves clients; add a node with the role gateway";
  if (count(can_prefill) == 0) return "nodes: nobody runs prompts; add a node with the role prefill or mixed";
  if (count(can_decode) == 0) return "nodes: nobody generates tokens; add a node with the role decode or mixed";
  return {};
}

std::string check_security(const SecurityConfig& security) {
  const bool all = !security.ca.empty() && !security.certificate.empty() && !security.key.empty();
  const bool none = security.ca.empty() && security.certificate.empty() && security.key.empty();
  if (security.insecure && !none) return "security: insecure and certificates are given; choose one";
  if (security.insecure || all) return {};
  return "security: name ca, certificate and key (`baton keys init` and `baton keys issue` make them), or say insecure: true, "
         "which lets anyone who can connect take the cluster over";
}

std::string check_times(const ClusterConfig& config) {
  if (config.control.timeout < 2 * config.control.heartbeat) {
    return "control.timeout_ms: must be at least twice heartbeat_ms, else one late heartbeat takes a node down";
  }
  if (config.limits.assign_deadline > config.limits.request_deadline) {
    return "limits.assign_deadline_ms: must not be over request_deadline_ms";
  }
  return {};
}

}  // namespace

Status check_cluster_config(const ClusterConfig& config, const std::string& name) {
  for (const std::string& wrong : {check_names_and_addresses(config), check_roles(config), check_security(config.security),
                                   check_times(config)}) {
    if (wrong.empty()) continue;
    return Error{ErrorCode::invalid_config, Scope::cluster, fmt::format("{}: {}", name, wrong), wrong.substr(0, wrong.find(':'))};
  }
  return ok();
}

}  // namespace baton
