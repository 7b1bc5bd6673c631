#include "actors/built_in_types.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "actors/gateway/http_server.h"
#include "actors/gateway_hub.h"
#include "actors/instance_actor.h"
#include "actors/instance/instance_host.h"
#include "actors/node_variables.h"
#include "actors/scheduler_actor.h"
#include "runtime/base/random.h"
#include "runtime/device/cpu_device.h"
#include "runtime/text/make_tokenizer.h"
#include "transport/ucx_fabric.h"

namespace baton {
namespace {

Hello hello_of(const SpawnContext& context) {
  const transport::UcxVersion ucx = transport::ucx_version();
  Hello hello;
  hello.self = context.self;
  hello.name = context.node->name;
  hello.role = context.node->role;
  hello.ucx_major = ucx.major;
  hello.ucx_minor = ucx.minor;
  hello.control_address = to_string(context.node->control);
  hello.pid = ::getpid();
  return hello;
}

std::uint64_t random_token() {
  std::random_device entropy;
  return (std::uint64_t{entropy()} << 32) | entropy();
}

struct SizedDevice {
  std::unique_ptr<Device> device;
  std::uint32_t blocks = 0;
};

Result<SizedDevice> make_device(const LoadedModel& model, const InstanceConfig& config, const std::string& isa) {
  auto device = make_cpu_device(model, {.threads = config.threads,
                                        .block_tokens = config.block_size,
                                        .kv_type = config.kv_dtype,
                                        .max_batch_tokens = std::max(config.prefill_token_budget, config.max_running),
                                        .max_model_len = length_of(config, model.spec()),
                                        .isa = isa});
  if (!device) return device.error();
  const KvLayout& layout = (*device)->layout();
  const std::uint64_t block_bytes = layout.block_bytes() * layout.layers;
  const std::uint32_t blocks = kv_blocks_of(config, block_bytes);
  if (Status status = (*device)->allocate_kv(blocks); !status) return status.error();
  spdlog::info("kv cache: {} blocks of {} tokens, {} MiB", blocks, layout.block_tokens, blocks * block_bytes >> 20);
  return SizedDevice{std::move(*device), blocks};
}

// Equal for devices that compute the same bits from the same model file: kernels and tables.
std::uint64_t bits_of(const Device& device) { return mix64(device.kernel_identity() ^ mix64(device.model_fingerprint())); }

InstanceOptions options_of(const SpawnContext& context, const Device& device, std::uint32_t blocks,
                           const std::vector<TokenId>& eos) {
  const InstanceConfig& config = context.node->instance;
  return {.self = context.self,
          .role = context.node->role,
          .model_fingerprint = device.model_fingerprint(),
          .layers = device.layout().layers,
          .eos_tokens = eos,
          .blocks = blocks,
          .block_tokens = config.block_size,
          .max_model_len = device.max_model_len(),
          .max_waiting = config.max_waiting,
          .max_running = config.max_running,
          .queue_order = config.queue_order,
          .queue_ageing = config.queue_ageing,
          .prefill_token_budget = config.prefill_token_budget,
          .chunk_tokens = config.chunk_tokens,
          .max_step_tokens = device.max_batch_tokens(),
          .watermark_blocks = config.watermark_blocks,
          .prefix_cache = config.prefix_cache,
          .verify_kv = config.verify_kv,
          .lease = config.lease,
          .transfer_deadline = config.transfer_deadline,
          .reserve_deadline = config.reserve_deadline,
          .report_interval = config.report_interval};
}

Result<SpawnedActor> spawn_instance_type(const SpawnContext& context) {
  const InstanceConfig& config = context.node->instance;
  const auto variables = node_variables();
  if (!variables) return variables.error();
  Hello hello = hello_of(context);
  std::vector<TokenId> eos;
  std::unique_ptr<Device> device;
  std::uint64_t fingerprint = 0;
  {
    auto model = load_model(context.node->model);
    if (!model) return model.error();
    auto tokenizer = make_tokenizer((*model)->vocabulary());
    if (!tokenizer) return tokenizer.error();
    eos = (*tokenizer)->eos_tokens();
    auto made = make_device(**model, config, variables->isa);
    if (!made) return made.error();
    device = std::move(made->device);
    hello.blocks_total = made->blocks;
    hello.model = (*model)->spec().name;
    fingerprint = (*model)->fingerprint();
  }
  hello.kv = {fingerprint, bits_of(*device), config.kv_dtype, config.block_size};
  hello.max_model_len = device->max_model_len();
  hello.data_token = random_token();
  const InstanceOptions options = options_of(context, *device, hello.blocks_total, eos);
  const auto make_fabric = [&](transport::FabricListener& listener) -> Result<std::unique_ptr<transport::Fabric>> {
    auto made = transport::make_ucx_fabric({.self = peer_id(context.self),
                                            .bind_address = context.node->data.host,
                                            .port = context.node->data.port,
                                            .token = hello.data_token,
                                            .verify = config.verify_kv,
                                            .flip_bit_in_piece = variables->flip_bit_in_piece},
                                           &listener);
    if (made.fabric == nullptr) return Error{ErrorCode::invalid_config, Scope::instance, made.message};
    return std::move(made.fabric);
  };
  auto host = InstanceHost::make(std::move(device), make_fabric, {.eos_tokens = eos});
  if (!host) return host.error();
  hello.data_address = (*host)->data_address();
  std::shared_ptr<InstanceHost> shared = std::move(*host);
  return SpawnedActor{spawn_instance(*context.system, InstanceCore{options}, shared, context.self), hello, nullptr};
}

Result<SpawnedActor> spawn_scheduler_type(const SpawnContext& context) {
  const SchedulerConfig& config = context.cluster->scheduler;
  SchedulerCore core{{.routing = config.routing,
                      .admission = config.admission,
                      .admission_options = {.slo_ttft = config.slo_ttft, .slo_itl = config.slo_itl},
                      .hand_off = config.hand_off,
                      .seed = config.seed,
                      .max_waiting = config.max_waiting,
                      .report_timeout = config.report_timeout}};
  return SpawnedActor{spawn_scheduler(*context.system, std::move(core), context.self), hello_of(context), nullptr};
}

class HttpFront : public Front {
 public:
  HttpFront(gateway::HttpOptions options, std::shared_ptr<gateway::Backend> backend, std::shared_ptr<const LoadedModel> model,
            std::shared_ptr<const Tokenizer> tokenizer)
      : host_(options.host), backend_(backend), server_(std::move(options), backend, std::move(model), std::move(tokenizer)) {}
  Status start() { return server_.start(); }
  std::string address() const override { return "http://" + to_string(HostPort{host_, server_.port()}); }
  bool ready() const override { return backend_->ready(); }
  void drain_and_stop(Duration limit) override { server_.drain_and_stop(limit); }

 private:
  std::string host_;
  std::shared_ptr<gateway::Backend> backend_;
  gateway::HttpServer server_;
};

// The file's or folder's own name without what says its format: "SmolLM2-135M-Instruct.Q4_1".
std::string served_name(const ClusterConfig& cluster, const std::string& model_path) {
  if (!cluster.served_name.empty()) return cluster.served_name;
  std::string path = model_path;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::string name = path.substr(path.find_last_of('/') + 1);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name;
}

std::uint64_t pool_tokens(const InstanceConfig& config, const ModelSpec& model) {
  const KvLayout layout{model.layers, model.kv_heads, model.head_dim, config.block_size, config.kv_dtype};
  return std::uint64_t{kv_blocks_of(config, layout.block_bytes() * layout.layers)} * config.block_size;
}

// Prompt and output of one request fit the context and an empty pool of every instance.
std::uint32_t longest_request(const ClusterConfig& cluster, const ModelSpec& model) {
  std::uint64_t longest = std::min(length_of(cluster.instances, model), model.longest_context());
  for (const NodeConfig& node : cluster.nodes) {
    if (!is_instance(node.role)) continue;
    longest = std::min<std::uint64_t>(longest, length_of(node.instance, model));
    longest = std::min(longest, pool_tokens(node.instance, model));
  }
  return static_cast<std::uint32_t>(longest);
}

Result<SpawnedActor> spawn_gateway_type(const SpawnContext& context) {
  auto loaded = load_model(context.node->model, {.weights = false});
  if (!loaded) return loaded.error();
  const std::shared_ptr<const LoadedModel> model = std::move(*loaded);
  auto tokenizer = make_tokenizer(model->vocabulary());
  if (!tokenizer) return tokenizer.error();
  const ClusterConfig& cluster = *context.cluster;
  const LimitsConfig& limits = cluster.limits;
  Hello hello = hello_of(context);
  hello.model = model->spec().name;
  hello.kv.model_fingerprint = model->fingerprint();
  hello.max_model_len = longest_request(cluster, model->spec());
  GatewayHub hub = spawn_gateway_hub(*context.system, hello, cluster.nodes, *tokenizer);
  OwnedActor actor{hub.actor};
  const gateway::HttpOptions options{
      .host = context.node->http.host,
      .port = context.node->http.port,
      .model_id = served_name(cluster, context.node->model),
      .model_aliases = {model->spec().name, context.node->model},
      .model_path = context.node->model,
      .chat_template = cluster.chat_template,
      .max_model_len = hello.max_model_len,
      .max_header_bytes = std::size_t{limits.max_header_kib} << 10,
      .max_body_bytes = std::size_t{limits.max_body_mib} << 20,
      .max_connections = limits.max_connections,
      .idle_timeout = limits.idle_timeout,
      .request_deadline = limits.request_deadline,
      .assign_deadline = limits.assign_deadline,
      .max_attempts = limits.max_attempts,
      .max_choices = limits.max_choices,
  };
  const auto front = std::make_shared<HttpFront>(options, hub.backend, model, *tokenizer);
  if (Status status = front->start(); !status) return status.error();
  return SpawnedActor{std::move(actor), hello, front};
}

}  // namespace

Status add_built_in_types(ActorTypes& types) {
  for (const Role role : {Role::prefill, Role::decode, Role::mixed}) {
    if (Status status = types.add_role(role, spawn_instance_type); !status) return status;
  }
  if (Status status = types.add_role(Role::scheduler, spawn_scheduler_type); !status) return status;
  return types.add_role(Role::gateway, spawn_gateway_type);
}

}  // namespace baton
