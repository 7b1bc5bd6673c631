// The profile from its three files. yaml-cpp throws; nothing of it leaves this file.
#include <yaml-cpp/yaml.h>

#include <array>

#include "runtime/sim/distserve_profile.h"
#include "runtime/sim/embedded.h"

namespace baton::sim::distserve {
namespace {

Cost read_cost(const YAML::Node& node) {
  const auto numbers = node.as<std::array<double, 3>>();
  return {numbers[0], numbers[1], numbers[2]};
}

void read_models(const YAML::Node& file, Profile& profile) {
  profile.gpu_memory_bytes = file["gpu_memory_bytes"].as<double>();
  profile.largest_degree = file["largest_degree"].as<std::uint32_t>();
  for (const auto& entry : file["models"]) {
    const YAML::Node shape = entry.second;
    profile.models.push_back({.name = entry.first.as<std::string>(),
                              .layers = shape["layers"].as<std::uint32_t>(),
                              .heads = shape["heads"].as<std::uint32_t>(),
                              .hidden = shape["hidden"].as<std::uint32_t>()});
  }
}

void read_coefficients(const YAML::Node& file, Engine engine, Profile& profile) {
  profile.small_batch = file["small_batch"].as<std::uint32_t>();
  for (Model& model : profile.models) {
    for (const auto& entry : file["models"][model.name]) {
      model.coefficients[static_cast<std::size_t>(engine)].push_back({.tp = entry["tp"].as<std::uint32_t>(),
                                                                      .prefill = read_cost(entry["prefill"]),
                                                                      .decode_small = read_cost(entry["small"]),
                                                                      .decode_large = read_cost(entry["large"])});
    }
  }
}

}  // namespace

Result<Profile> load_profile() {
  Profile profile;
  std::string name = "distserve_models.yaml";
  try {
    read_models(YAML::Load(std::string(embedded("profiles/" + name))), profile);
    for (const Engine engine : {Engine::distserve, Engine::vllm}) {
      name = fmt::format("distserve_a100_{}.yaml", to_string(engine));
      read_coefficients(YAML::Load(std::string(embedded("profiles/" + name))), engine, profile);
    }
  } catch (const YAML::Exception& error) {
    return Error{ErrorCode::invalid_file, Scope::request, fmt::format("configs/profiles/{}:{}: {}", name, error.mark.line + 1, error.msg)};
  }
  return profile;
}

}  // namespace baton::sim::distserve
