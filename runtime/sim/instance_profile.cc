#include "runtime/sim/instance_profile.h"

#include <algorithm>
#include <string_view>

#include <spdlog/fmt/fmt.h>

#include "runtime/base/nearest.h"
#include "runtime/perf/kv_size.h"

namespace baton::sim {
namespace {

using distserve::Parallelism;

constexpr std::string_view kOfDistServe = "distserve/", kOfSplitwise = "splitwise/";
constexpr Parallelism kSplitwiseMachine{8, 1};

Error unknown_profile(std::string message) { return {ErrorCode::invalid_argument, Scope::request, std::move(message), "profile"}; }

Result<InstanceProfile> of_distserve(const std::string& model_name, Parallelism parallelism) {
  const auto profile = distserve::load_profile();
  if (!profile) return profile.error();
  const auto model = profile->find(model_name);
  if (!model) return model.error();
  const auto deployment = deploy(*profile, **model, distserve::Engine::distserve, parallelism, parallelism);
  if (!deployment) return deployment.error();
  const perf::KvShape shape{(*model)->layers, (*model)->heads, (*model)->hidden / (*model)->heads};
  return InstanceProfile{.steps = make_step_model(*deployment),
                         .parallelism = parallelism,
                         .layers = (*model)->layers,
                         .kv_bytes_per_token = kv_bytes_per_token(shape),
                         .kv_tokens = deployment->prefill_tokens};
}

Result<InstanceProfile> of_splitwise(const std::string& model_name, const std::string& gpu, Parallelism parallelism) {
  if (parallelism != kSplitwiseMachine) {
    return unknown_profile(fmt::format("splitwise/{}@{} is a machine of eight GPUs: its speed is not known at {}, use {}", model_name, gpu,
                                       to_string(parallelism), to_string(kSplitwiseMachine)));
  }
  const auto model = splitwise::load_model(model_name);
  if (!model) return model.error();
  const auto hardware = splitwise::load_hardware();
  if (!hardware) return hardware.error();
  const auto machine = std::ranges::find(hardware->gpus, gpu, &splitwise::Gpu::name);
  CHECK(machine != hardware->gpus.end() && model->times.contains(gpu), "{} was listed", gpu);
  const std::int64_t room = (machine->machine_memory_bytes - model->weight_bytes) / model->kv_bytes_per_token;
  return InstanceProfile{.steps = make_step_model(model->times.at(gpu)),
                         .parallelism = parallelism,
                         .layers = model->layers,
                         .kv_bytes_per_token = static_cast<std::uint64_t>(model->kv_bytes_per_token),
                         .kv_tokens = static_cast<std::uint64_t>(std::max<std::int64_t>(room, 0))};
}

}  // namespace

Result<std::vector<std::string>> instance_profile_names() {
  std::vector<std::string> names;
  const auto profile = distserve::load_profile();
  if (!profile) return profile.error();
  for (const distserve::Model& model : profile->models) {
    const auto& measured = model.coefficients[static_cast<std::size_t>(distserve::Engine::distserve)];
    if (!measured.empty()) names.push_back(std::string(kOfDistServe) + model.name);
  }
  for (const std::string& name : splitwise::model_names()) {
    const auto model = splitwise::load_model(name);
    if (!model) return model.error();
    for (const auto& [gpu, times] : model->times) names.push_back(fmt::format("{}{}@{}", kOfSplitwise, name, gpu));
  }
  std::ranges::sort(names);
  return names;
}

Result<InstanceProfile> load_instance_profile(const std::string& name, std::optional<Parallelism> parallelism) {
  const auto names = instance_profile_names();
  if (!names) return names.error();
  if (name.empty()) return unknown_profile(fmt::format("which model on which hardware? name a --profile: {}", fmt::join(*names, ", ")));
  if (std::ranges::find(*names, name) == names->end()) {
    return unknown_profile(fmt::format("there is no performance profile \"{}\"{}", name, suggestion(name, *names)));
  }
  if (name.starts_with(kOfDistServe)) return of_distserve(name.substr(kOfDistServe.size()), parallelism.value_or(Parallelism{}));
  const std::string machine = name.substr(kOfSplitwise.size());
  const std::size_t at = machine.find('@');
  return of_splitwise(machine.substr(0, at), machine.substr(at + 1), parallelism.value_or(kSplitwiseMachine));
}

}  // namespace baton::sim
