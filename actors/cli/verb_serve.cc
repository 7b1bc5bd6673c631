#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "actors/cli/verbs.h"
#include "actors/descriptor_limit.h"
#include "actors/serve.h"
#include "runtime/base/log.h"
#include "runtime/cluster/admission.h"
#include "runtime/cluster/routing_registry.h"
#include "runtime/instance/queue_order.h"

namespace baton::cli {
namespace {

// The systems of the literature, as far as serve's flags set them apart.
struct Preset {
  std::uint32_t prefill, decode, mixed;
  HandOffMode hand_off;
  std::uint32_t chunk_tokens;            // 0: whole prompts
};
const std::map<std::string, Preset> kPresets = {
    {"distserve", {1, 1, 0, HandOffMode::pull, 0}},
    {"splitwise", {1, 1, 0, HandOffMode::push_by_layer, 0}},
    {"mooncake", {1, 1, 0, HandOffMode::push_by_layer, 512}},
    {"colocated", {0, 0, 2, HandOffMode::pull, 0}},
    {"chunked_prefill", {0, 0, 2, HandOffMode::pull, 512}},
};

struct ServeFlags {
  ServeOptions options;
  std::string preset;
  int port = 8000;
  int drain_seconds = 15;
  int assign_deadline_ms = 5000;
  bool no_restart = false;
};

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& [name, preset] : kPresets) names.push_back(name);
  return names;
}

// What the command line says wins over the preset.
void apply_preset(const CLI::App& verb, ServeFlags& flags) {
  if (flags.preset.empty()) return;
  const Preset& preset = kPresets.at(flags.preset);
  ServeOptions& options = flags.options;
  const bool counted = verb.count("--prefill") + verb.count("--decode") + verb.count("--mixed") > 0;
  if (!counted) {
    options.prefill = preset.prefill;
    options.decode = preset.decode;
    options.mixed = preset.mixed;
  }
  if (verb.count("--hand-off") == 0) options.cluster.scheduler.hand_off = preset.hand_off;
  options.cluster.instances.chunk_tokens = preset.chunk_tokens;
}

// --mixed alone means mixed instances alone.
void apply_counts(const CLI::App& verb, ServeOptions& options) {
  if (verb.count("--mixed") == 0 || options.mixed == 0) return;
  if (verb.count("--prefill") == 0 && verb.count("--decode") == 0) options.prefill = options.decode = 0;
}

// What a cluster file leaves to the command line.
const std::vector<std::string> kBesideConfig = {"--drain-seconds", "--insecure", "--log", "--no-restart"};

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// A flag of the command line that the cluster file would overrule is refused. A variable may stand in the environment for the sake of
// other runs: it is only logged.
Status check_beside_config(const CLI::App& verb) {
  if (verb.count("--config") == 0) return ok();
  const std::vector<CLI::Option*>& typed = verb.parse_order();
  std::vector<std::string> flags, variables;
  for (const CLI::Option* option : verb.get_options()) {
    const std::string flag = option->get_name();
    if (option->count() == 0 || flag == "--config" || std::ranges::find(kBesideConfig, flag) != kBesideConfig.end()) continue;
    const bool is_typed = std::ranges::find(typed, option) != typed.end();
    (is_typed ? flags : variables).push_back(is_typed ? flag : option->get_envname());
  }
  if (!variables.empty()) spdlog::warn("{} not used: the cluster file says it", listed(variables));
  if (flags.empty()) return ok();
  return Error{ErrorCode::invalid_argument, Scope::instance,
               fmt::format("{} cannot stand beside --config: say it in the cluster file, or leave it out. Beside --config there may be {}",
                           listed(flags), listed(kBesideConfig))};
}

// A flag whose value is one of a few words. (CLI11's own transformer would show the bytes of an enumeration in the help.)
template <class T>
void add_choice(CLI::App& verb, const std::string& flag, T& value, const std::map<std::string, T>& choices, const std::string& help) {
  std::vector<std::string> names;
  std::string standard;
  for (const auto& [name, choice] : choices) {
    names.push_back(name);
    if (choice == value) standard = name;
  }
  verb.add_option_function<std::string>(flag, [&value, choices](const std::string& name) { value = choices.at(name); }, help)
      ->check(CLI::IsMember(names))
      ->envname(variable_of(flag))
      ->default_str(standard);
}

void add_milliseconds(CLI::App& verb, const std::string& flag, Duration& value, const std::string& help) {
  verb.add_option_function<std::int64_t>(flag, [&value](std::int64_t ms) { value = Milliseconds{ms}; }, help)
      ->check(CLI::Range(1, 604'800'000))
      ->envname(variable_of(flag))
      ->default_str(std::to_string(std::chrono::duration_cast<Milliseconds>(value).count()));
}

void add_instance_options(CLI::App& serve, InstanceConfig& instance) {
  add_option(serve, "--threads", instance.threads, "Threads of each instance")->check(CLI::Range(1, 1024));
  add_option(serve, "--kv-blocks", instance.kv_blocks, "Blocks of each instance's KV cache; if not given, what --kv-memory-mib holds")
      ->check(CLI::Range(1, 1 << 30));
  add_option(serve, "--kv-memory-mib", instance.kv_memory_mib, "Memory of each instance's KV cache")->check(CLI::Range(1, 1 << 30));
  add_option(serve, "--block-size", instance.block_size, "Tokens of a block")->check(CLI::IsMember({16, 32, 64}));
  add_option(serve, "--max-model-len", instance.max_model_len,
             "Tokens of a request at most, prompt and output; if not given, 8192 or what the model can")
      ->check(CLI::Range(1, 1 << 30));
  add_option(serve, "--max-waiting", instance.max_waiting, "Requests that may wait at an instance; beyond it 429")
      ->check(CLI::Range(1, 1 << 20));
  add_option(serve, "--queue-order", instance.queue_order, "In which order an instance computes prompts: " + listed(queue_order_names()));
  add_milliseconds(serve, "--queue-ageing-ms", instance.queue_ageing, "A prompt that came so long ago goes first, whatever the order");
  add_choice<KvType>(serve, "--kv-dtype", instance.kv_dtype, {{"bf16", KvType::bf16}, {"f32", KvType::f32}}, "As what KV is stored");
}

void add_options(CLI::App& serve, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  add_option(serve, "--model", options.cluster.model, "GGUF file or Hugging Face directory; the cached default model if not given");
  add_option(serve, "--prefill", options.prefill, "Prefill instances")->check(CLI::Range(0, 64));
  add_option(serve, "--decode", options.decode, "Decode instances")->check(CLI::Range(0, 64));
  add_option(serve, "--mixed", options.mixed, "Instances that do both; alone, there are no others")->check(CLI::Range(0, 64));
  add_option(serve, "--host", options.http.host, "Address of the HTTP side");
  add_option(serve, "--port", flags.port, "Port of the HTTP side; 0: any free one")->check(CLI::Range(0, 65535));
  add_option(serve, "--preset", flags.preset, "A system of the literature")->check(CLI::IsMember(preset_names()));
  add_option(serve, "--config", options.config,
             "A cluster file, all of whose nodes run here; beside it there may be only " + listed(kBesideConfig));
  add_choice<HandOffMode>(serve, "--hand-off", options.cluster.scheduler.hand_off,
                          {{"pull", HandOffMode::pull}, {"push_by_layer", HandOffMode::push_by_layer}}, "How KV moves");
  add_option(serve, "--routing", options.cluster.scheduler.routing, "Who gets a request: " + listed(routing_names()));
  add_option(serve, "--admission", options.cluster.scheduler.admission, "Who is refused at arrival: " + listed(admission_names()));
  add_milliseconds(serve, "--slo-ttft-ms", options.cluster.scheduler.slo_ttft, "Time to the first token that early_rejection holds");
  add_milliseconds(serve, "--slo-itl-ms", options.cluster.scheduler.slo_itl, "Time between tokens that early_rejection holds");
  add_instance_options(serve, options.cluster.instances);
  add_option(serve, "--chat-template", options.cluster.chat_template, "chatml or llama3; as the model says if not given");
  add_option(serve, "--served-model-name", options.cluster.served_name, "The model's name to clients");
  add_option(serve, "--drain-seconds", flags.drain_seconds, "How long SIGTERM waits for what is running")
      ->check(CLI::Range(0, 3600));
  add_option(serve, "--assign-deadline-ms", flags.assign_deadline_ms, "How long a request may look for an instance before it gets 503")
      ->check(CLI::Range(1, 3600000));
  add_flag(serve, "--no-restart", flags.no_restart, "Leave a process that died as it is");
  add_log_option(serve, options.log);
  add_flag(serve, "--insecure", options.cluster.security.insecure, "No TLS and no authentication between nodes");
}

int run(const CLI::App& verb, ServeFlags& flags) {
  raise_descriptor_limit();
  start_log("serve", flags.options.log);
  if (const Status status = check_beside_config(verb); !status) return report(status.error());
  apply_preset(verb, flags);
  apply_counts(verb, flags.options);
  flags.options.http.port = static_cast<std::uint16_t>(flags.port);
  flags.options.restart = !flags.no_restart;
  flags.options.cluster.limits.assign_deadline = Milliseconds{flags.assign_deadline_ms};
  flags.options.drain = std::chrono::seconds{flags.drain_seconds};
  const Status status = serve(flags.options);
  return status ? kDone : report(status.error());
}

}  // namespace

void add_serve_verb(CLI::App& app, int& status) {
  const auto flags = std::make_shared<ServeFlags>();
  CLI::App* serve = app.add_subcommand("serve", "Serve a model on this machine, every role a process of its own");
  add_options(*serve, *flags);
  serve->callback([serve, flags, &status] { status = run(*serve, *flags); });
}

}  // namespace baton::cli
