#include "runtime/sim/splitwise_profile.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "runtime/base/nearest.h"
#include "runtime/sim/embedded.h"

namespace baton::sim::splitwise {
namespace {

constexpr int kTensorParallel = 8;         // every start state of the authors uses all GPUs of a machine for one copy

// `read` of the embedded file's root; what yaml-cpp throws becomes an error that names the file.
template <class Read>
auto read_embedded(const std::string& name, Read read) -> Result<decltype(read(YAML::Node{}))> {
  try {
    return read(YAML::Load(std::string{embedded("profiles/" + name)}));
  } catch (const YAML::Exception& e) {
    return Error{ErrorCode::internal, Scope::cluster, fmt::format("configs/profiles/{}:{}: {}", name, e.mark.line + 1, e.msg)};
  }
}

Model read_model(const YAML::Node& root) {
  Model model;
  model.name = root["model"].as<std::string>();
  model.layers = root["layers"].as<std::uint32_t>();
  const auto whole = [&](const char* key) { return root[key].as<std::int64_t>(); };
  model.kv_bytes_per_token = 2 * whole("hidden") * whole("layers") * whole("dtype_bytes");
  model.weight_bytes = whole("weight_bytes");
  const auto tokens = root["batch_tokens"].as<std::vector<double>>();
  for (const YAML::Node& measured : root["measured"]) {
    if (measured["tensor_parallel"].as<int>() != kTensorParallel) continue;
    StepTimes& times = model.times[measured["gpu"].as<std::string>()];
    times.prompt = {tokens, measured["prompt_s"].as<std::vector<double>>()};
    times.token = {tokens, measured["token_s"].as<std::vector<double>>()};
  }
  return model;
}

SlowdownLimits read_limits(const YAML::Node& node) {
  return {node["p50"].as<double>(), node["p90"].as<double>(), node["p99"].as<double>()};
}

Hardware read_hardware(const YAML::Node& root) {
  constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
  Hardware hardware;
  const auto gpus_per_machine = root["gpus_per_machine"].as<std::int64_t>();
  for (const YAML::Node& gpu : root["gpus"]) {
    hardware.gpus.push_back({gpu["name"].as<std::string>(), gpus_per_machine * gpu["memory_bytes"].as<std::int64_t>()});
  }
  const YAML::Node transfer = root["transfer"];
  hardware.infiniband_bytes_per_s = transfer["infiniband_gib_per_s"].as<double>() * kGib;
  hardware.ethernet_bytes_per_s = transfer["ethernet_gib_per_s"].as<double>() * kGib;
  hardware.overlap_factor = transfer["overlap_factor"].as<double>();
  const YAML::Node slo = root["slo"];
  hardware.slo_reference = slo["reference"].as<std::string>();
  hardware.ttft = read_limits(slo["ttft"]);
  hardware.tbt = read_limits(slo["tbt"]);
  hardware.e2e = read_limits(slo["e2e"]);
  return hardware;
}

}  // namespace

double Curve::at(double x) const {
  const auto found = std::lower_bound(tokens.begin(), tokens.end(), x) - tokens.begin();
  const auto high = static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(found, 1, static_cast<std::ptrdiff_t>(tokens.size()) - 1));
  const double slope = (seconds[high] - seconds[high - 1]) / (tokens[high] - tokens[high - 1]);
  return slope * (x - tokens[high - 1]) + seconds[high - 1];
}

double StepTimes::iteration_seconds(std::int64_t prompt_tokens, std::int64_t decodes) const {
  const auto x = static_cast<double>(prompt_tokens + decodes);
  if (prompt_tokens == 0) return token.at(x);
  return decodes == 0 ? prompt.at(x) : prompt.at(x) * 1.1;
}

const std::vector<std::string>& model_names() {
  static const std::vector<std::string> names = {"bloom-176b", "llama2-70b"};
  return names;
}

Result<Model> load_model(const std::string& name) {
  if (std::ranges::find(model_names(), name) == model_names().end()) {
    return Error{ErrorCode::invalid_argument, Scope::request,
                 name.empty() ? "which model? name it with --model: bloom-176b or llama2-70b"
                              : fmt::format("--model {} was not measured by Splitwise's authors{}", name, suggestion(name, model_names())),
                 "model"};
  }
  return read_embedded("splitwise_" + name + ".yaml", read_model);
}

Result<Hardware> load_hardware() { return read_embedded("splitwise_machines.yaml", read_hardware); }

}  // namespace baton::sim::splitwise
