// One mapping of a YAML file, read key by key; what is wrong is remembered, first come first kept, with file, line and key path.
// For the .cc files that read YAML, no header: yaml-cpp throws, and nothing of it leaves such a file.
//
//   ConfigReader nodes{errors, node, "nodes[1]"};
//   nodes.number("threads", config.threads, 1, 1, 1024);
//   nodes.finish();                                        // refuses keys that nobody asked for
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"
#include "runtime/config/cluster_config.h"

namespace baton {

struct ConfigErrors {
  std::string file;
  std::optional<Error> first;

  void add(const YAML::Mark& mark, const std::string& path, const std::string& message);
};

class ConfigReader {
 public:
  ConfigReader(ConfigErrors& errors, YAML::Node node, std::string path);

  // Each leaves the value as it is when the key is not there. The third argument, the default, is the writer's to know.
  void text(const char* key, std::string& value, const std::string&);
  void flag(const char* key, bool& value, bool);
  void number(const char* key, std::uint32_t& value, std::uint32_t, std::uint32_t least, std::uint32_t most);
  void number(const char* key, std::uint64_t& value, std::uint64_t, std::uint64_t least, std::uint64_t most);
  void number(const char* key, double& value, double, double least, double most);       // finite, both bounds included
  void milliseconds(const char* key, Duration& value, Duration);
  void address(const char* key, HostPort& value, const HostPort&, bool port_needed, bool port_may_be_0);
  template <class T>
  void choice(const char* key, T& value, const T&, const std::vector<std::pair<std::string, T>>& choices);

  bool has(const char* key) const;
  YAML::Node child(const char* key);                     // an undefined node when it is not there
  std::string path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  void refuse(const char* key, const std::string& message);    // at the key's line, or the mapping's when it is not there
  // From here on a key that is there is refused with `reason`; empty: no longer.
  void only_elsewhere(std::string reason) { elsewhere_ = std::move(reason); }
  void accept_everywhere() { everywhere_ = true; }       // only_elsewhere counts no longer: of a node that does not say its role
  void finish();

 private:
  bool there() const { return node_.IsDefined() && node_.IsMap(); }
  YAML::Node at(const char* key) const;
  std::optional<std::string> scalar(const char* key);
  void bad_choice(const char* key, const std::string& word, const std::vector<std::string>& known);

  ConfigErrors& errors_;
  YAML::Node node_;
  std::string path_;
  std::string elsewhere_;
  bool everywhere_ = false;
  std::vector<std::string> known_;
};

template <class T>
void ConfigReader::choice(const char* key, T& value, const T&, const std::vector<std::pair<std::string, T>>& choices) {
  const std::optional<std::string> word = scalar(key);
  if (!word) return;
  std::vector<std::string> known;
  for (const auto& [name, choice] : choices) {
    if (name == *word) {
      value = choice;
      return;
    }
    known.push_back(name);
  }
  bad_choice(key, *word, known);
}

}  // namespace baton
