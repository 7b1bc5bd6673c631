#include <map>
#include <memory>
#include <string>

#include "actors/cli/verbs.h"
#include "actors/serve.h"
#include "runtime/base/log.h"

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

void add_instance_options(CLI::App& serve, InstanceConfig& instance) {
  const std::map<std::string, KvType> types = {{"bf16", KvType::bf16}, {"f32", KvType::f32}};
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
  serve.add_option("--kv-dtype", instance.kv_dtype, "bf16 or f32")
      ->transform(CLI::CheckedTransformer(types))
      ->envname("BATON_KV_DTYPE");
}

void add_options(CLI::App& serve, ServeFlags& flags) {
  ServeOptions& options = flags.options;
  const std::map<std::string, HandOffMode> modes = {{"pull", HandOffMode::pull}, {"push_by_layer", HandOffMode::push_by_layer}};
  add_option(serve, "--model", options.cluster.model, "GGUF file or Hugging Face directory; the cached default model if not given");
  add_option(serve, "--prefill", options.prefill, "Prefill instances")->check(CLI::Range(0, 64));
  add_option(serve, "--decode", options.decode, "Decode instances")->check(CLI::Range(0, 64));
  add_option(serve, "--mixed", options.mixed, "Instances that do both; alone, there are no others")->check(CLI::Range(0, 64));
  add_option(serve, "--host", options.http.host, "Address of the HTTP side");
  add_option(serve, "--port", flags.port, "Port of the HTTP side; 0: any free one")->check(CLI::Range(0, 65535));
  add_option(serve, "--preset", flags.preset, "A system of the literature")->check(CLI::IsMember(preset_names()));
  add_option(serve, "--config", options.config, "A cluster file, all of whose nodes run here; other flags do not apply to it");
  serve.add_option("--hand-off", options.cluster.scheduler.hand_off, "How KV moves: pull or push_by_layer")
      ->transform(CLI::CheckedTransformer(modes))
      ->envname("BATON_HAND_OFF");
  add_option(serve, "--routing", options.cluster.scheduler.routing, "round_robin, jsq, least_memory or power_of_two");
  add_instance_options(serve, options.cluster.instances);
  add_option(serve, "--chat-template", options.cluster.chat_template, "chatml or llama3; as the model says if not given");
  add_option(serve, "--served-model-name", options.cluster.served_name, "The model's name to clients");
  add_option(serve, "--drain-seconds", flags.drain_seconds, "How long SIGTERM waits for what is running")
      ->check(CLI::Range(0, 3600));
  add_option(serve, "--assign-deadline-ms", flags.assign_deadline_ms, "How long a request may look for an instance before it gets 503")
      ->check(CLI::Range(1, 3600000));
  add_flag(serve, "--no-restart", flags.no_restart, "Leave a process that died as it is");
  add_option(serve, "--log", options.log, "trace, debug, info, warn, error or off");
  add_flag(serve, "--insecure", options.cluster.security.insecure, "No TLS and no authentication between nodes");
}

int run(const CLI::App& verb, ServeFlags& flags) {
  apply_preset(verb, flags);
  apply_counts(verb, flags.options);
  flags.options.http.port = static_cast<std::uint16_t>(flags.port);
  flags.options.restart = !flags.no_restart;
  flags.options.cluster.limits.assign_deadline = Milliseconds{flags.assign_deadline_ms};
  flags.options.drain = std::chrono::seconds{flags.drain_seconds};
  start_log("serve", flags.options.log);
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
