#include "runtime/config/cluster_config.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "runtime/base/nearest.h"
#include "runtime/cluster/admission.h"
#include "runtime/cluster/routing_registry.h"
#include "runtime/config/cluster_schema.h"
#include "runtime/config/config_reader.h"
#include "runtime/instance/queue_order.h"
#include "runtime/model/loaded_model.h"

namespace baton {
namespace {

constexpr std::size_t kLongestFile = 4u << 20;
constexpr std::size_t kMostNodes = 10'000;

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

template <class Section>
void read_section(ConfigErrors& errors, ConfigReader& parent, const char* key, Section& section) {
  const YAML::Node node = parent.child(key);
  ConfigReader reader{errors, node, key};
  visit(reader, section, section);
  reader.finish();
}

void read_node(ConfigErrors& errors, const YAML::Node& yaml, const std::string& path, const ClusterConfig& config, NodeConfig& node) {
  ConfigReader reader{errors, yaml, path};
  node.instance = config.instances;
  if (!reader.has("role")) reader.accept_everywhere();
  visit(reader, node, node);
  reader.finish();                             // a misspelt key is called that, rather than missing
  for (const char* needed : {"name", "role", "control"}) {
    if (!reader.has(needed)) reader.refuse(needed, "is missing; every node has a name, a role and a control address");
  }
  if (node.role != Role::scheduler && node.model.empty()) node.model = config.model;
  if (node.role == Role::gateway && node.http.host.empty()) node.http = {"127.0.0.1", 8000};
  if (is_instance(node.role) && node.data.host.empty()) {
    node.data = {"127.0.0.1", 0};
    if (node.role != Role::mixed && !is_loopback(node.control.host)) {
      reader.refuse("data", "is missing, and control is not on loopback; name the address of the private network that KV moves over");
    }
  }
}

void read_nodes(ConfigErrors& errors, ConfigReader& top, const YAML::Node& nodes, ClusterConfig& config) {
  if (!nodes.IsDefined() || !nodes.IsSequence() || nodes.size() == 0 || nodes.size() > kMostNodes) {
    return top.refuse("nodes", fmt::format("must list the cluster's nodes, from 1 to {}", kMostNodes));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    read_node(errors, nodes[i], fmt::format("nodes[{}]", i), config, config.nodes.emplace_back());
  }
}

void check_instance_policies(ConfigErrors& errors, const YAML::Node& yaml, const std::string& path, const InstanceConfig& config) {
  const auto order = make_queue_order(config.queue_order);
  if (!order) ConfigReader{errors, yaml, path}.refuse("queue_order", order.error().message);
}

// Names that only their registries know.
void check_policies(ConfigErrors& errors, const YAML::Node& root, const ClusterConfig& config) {
  if (const auto routing = make_routing(config.scheduler.routing); !routing) {
    ConfigReader{errors, root["scheduler"], "scheduler"}.refuse("routing", routing.error().message);
  }
  if (const auto admission = make_admission(config.scheduler.admission); !admission) {
    ConfigReader{errors, root["scheduler"], "scheduler"}.refuse("admission", admission.error().message);
  }
  check_instance_policies(errors, root["instances"], "instances", config.instances);
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    check_instance_policies(errors, root["nodes"][i], fmt::format("nodes[{}]", i), config.nodes[i].instance);
  }
}

Result<ClusterConfig> read_cluster(const YAML::Node& root, const std::string& name) {
  ConfigErrors errors{.file = name, .first = std::nullopt};
  ClusterConfig config;
  ConfigReader top{errors, root, ""};
  top.text("model", config.model, "");
  top.text("served_name", config.served_name, "");
  top.text("chat_template", config.chat_template, "");
  read_section(errors, top, "instances", config.instances);
  read_section(errors, top, "scheduler", config.scheduler);
  read_section(errors, top, "limits", config.limits);
  read_section(errors, top, "control", config.control);
  read_section(errors, top, "security", config.security);
  const YAML::Node nodes = top.child("nodes");
  top.finish();                                // a misspelt "nodes" is called that, rather than missing
  read_nodes(errors, top, nodes, config);
  check_policies(errors, root, config);
  if (errors.first) return *errors.first;
  if (Status status = check_cluster_config(config, name); !status) return status.error();
  return config;
}

std::string from_folder(const std::string& path, const std::filesystem::path& folder) {
  if (path.empty() || path.front() == '/' || path.front() == '~') return path;
  return (folder / path).lexically_normal().string();
}

}  // namespace

std::uint32_t length_of(const InstanceConfig& config, const ModelSpec& model) {
  return config.max_model_len != 0 ? config.max_model_len : std::min(kUsualModelLen, model.longest_context());
}

std::string to_string(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}:{}", v6 ? "[" + address.host + "]" : address.host, address.port);
}

std::uint32_t kv_blocks_of(const InstanceConfig& config, std::uint64_t block_bytes) {
  if (config.kv_blocks != 0) return config.kv_blocks;
  const std::uint64_t fit = (std::uint64_t{config.kv_memory_mib} << 20) / block_bytes;
  return static_cast<std::uint32_t>(std::clamp(fit, std::uint64_t{1}, std::uint64_t{kMostTokens}));
}

const NodeConfig* ClusterConfig::find(std::string_view name) const {
  for (const NodeConfig& node : nodes) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

Result<ClusterConfig> parse_cluster_config(std::string_view text, const std::string& name) {
  const auto refused = [&](const std::string& what) {
    return Error{ErrorCode::invalid_config, Scope::cluster, fmt::format("{}: {}", name, what)};
  };
  if (text.size() > kLongestFile) return refused(fmt::format("longer than {} bytes; is it a cluster file?", kLongestFile));
  if (text.find('\0') != std::string_view::npos) return refused("holds a zero byte; is it a cluster file?");
  try {
    const YAML::Node root = YAML::Load(std::string{text});
    if (!root.IsMap()) return refused("must be a mapping with the key \"nodes\"; configs/one_machine.yaml is an example");
    return read_cluster(root, name);
  } catch (const YAML::Exception& e) {
    const std::string line = e.mark.is_null() ? "" : fmt::format("{}:", e.mark.line + 1);
    return Error{ErrorCode::invalid_config, Scope::cluster, fmt::format("{}:{} not YAML: {}", name, line, e.msg)};
  }
}

Result<ClusterConfig> load_cluster_config(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return Error{ErrorCode::io_error, Scope::cluster, fmt::format("{} is a folder; name a cluster file", path)};
  }
  std::ifstream file{path, std::ios::binary};
  if (!file) {
    return Error{errno == ENOENT ? ErrorCode::not_found : ErrorCode::io_error, Scope::cluster,
                 fmt::format("{}: {}; name a cluster file", path, std::strerror(errno))};
  }
  std::string text(kLongestFile + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return Error{ErrorCode::io_error, Scope::cluster, fmt::format("{}: cannot be read", path)};
  text.resize(static_cast<std::size_t>(file.gcount()));

  Result<ClusterConfig> config = parse_cluster_config(text, path);
  if (!config) return config;
  const std::filesystem::path folder = std::filesystem::path{path}.parent_path();
  for (std::string* file_name : {&config->model, &config->security.ca, &config->security.certificate, &config->security.key}) {
    *file_name = from_folder(*file_name, folder);
  }
  for (NodeConfig& node : config->nodes) node.model = from_folder(node.model, folder);
  return config;
}

}  // namespace baton
