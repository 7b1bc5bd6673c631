// A cluster file from its config: what equals its default is left out, so that the file says what was chosen.
#include <yaml-cpp/yaml.h>

#include "runtime/config/cluster_config.h"
#include "runtime/config/cluster_schema.h"

namespace baton {
namespace {

class Writer {
 public:
  explicit Writer(YAML::Emitter& out) : out_(out) {}

  void text(const char* key, const std::string& value, const std::string& usual) {
    if (wanted(value != usual)) out_ << YAML::Key << key << YAML::Value << value;
  }
  void flag(const char* key, bool value, bool usual) {
    if (wanted(value != usual)) out_ << YAML::Key << key << YAML::Value << value;
  }
  template <class Count, class Limit>
  void number(const char* key, Count value, Count usual, Limit, Limit) {
    if (wanted(value != usual)) out_ << YAML::Key << key << YAML::Value << value;
  }
  void milliseconds(const char* key, Duration value, Duration usual) {
    if (wanted(value != usual)) out_ << YAML::Key << key << YAML::Value << std::chrono::duration_cast<Milliseconds>(value).count();
  }
  void address(const char* key, const HostPort& value, const HostPort& usual, bool port_needed, bool) {
    if (!wanted(value != usual && !value.host.empty())) return;
    const bool bare = !port_needed && value.port == 0;
    const bool v6 = value.host.find(':') != std::string::npos;
    out_ << YAML::Key << key << YAML::Value << (bare ? (v6 ? "[" + value.host + "]" : value.host) : to_string(value));
  }
  template <class T>
  void choice(const char* key, const T& value, const T& usual, const std::vector<std::pair<std::string, T>>& choices) {
    if (!wanted(value != usual)) return;
    for (const auto& [name, choice] : choices) {
      if (choice == value) out_ << YAML::Key << key << YAML::Value << name;
    }
  }
  void only_elsewhere(const std::string& reason) { elsewhere_ = !reason.empty(); }

 private:
  bool wanted(bool differs) const { return differs && !elsewhere_; }

  YAML::Emitter& out_;
  bool elsewhere_ = false;
};

template <class Section>
void write_section(YAML::Emitter& out, const char* key, Section section) {
  if (section == Section{}) return;
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  Writer writer{out};
  visit(writer, section, Section{});
  out << YAML::EndMap;
}

void write_node(YAML::Emitter& out, const ClusterConfig& config, NodeConfig node) {
  NodeConfig usual{.role = Role::mixed, .data = {"127.0.0.1", 0}, .http = {"127.0.0.1", 8000}, .model = config.model};
  usual.instance = config.instances;
  usual.role = node.role == Role::mixed ? Role::gateway : Role::mixed;       // the role is always written
  out << YAML::BeginMap;
  Writer writer{out};
  visit(writer, node, usual);
  out << YAML::EndMap;
}

}  // namespace

std::string to_yaml(const ClusterConfig& config) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  Writer writer{out};
  writer.text("model", config.model, "");
  writer.text("served_name", config.served_name, "");
  writer.text("chat_template", config.chat_template, "");
  write_section(out, "instances", config.instances);
  out << YAML::Key << "nodes" << YAML::Value << YAML::BeginSeq;
  for (const NodeConfig& node : config.nodes) write_node(out, config, node);
  out << YAML::EndSeq;
  write_section(out, "scheduler", config.scheduler);
  write_section(out, "limits", config.limits);
  write_section(out, "control", config.control);
  write_section(out, "security", config.security);
  out << YAML::EndMap;
  return std::string{out.c_str()} + "\n";
}

}  // namespace baton
