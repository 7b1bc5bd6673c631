// Looks at what Baton needs on this machine and says of each thing whether it is right and what to do if not.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <vector>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/cli/verbs.h"
#include "actors/descriptor_limit.h"
#include "actors/user_paths.h"
#include "kernels/isa.h"
#include "runtime/text/servable_model.h"
#include "transport/ucx_fabric.h"
#include "transport/ucx_transports.h"

namespace baton::cli {
namespace {

struct Flags {
  std::string model;
  std::string chat_template;
  std::uint32_t max_model_len = 0;
  std::uint16_t port = 8000;
  bool json = false;
};

struct Check {
  std::string name;
  bool ok = true;
  std::string detail;
  bool warning = false;                  // not ok, but a flag cures it: this machine and model can do
};

Check check_cpu() {
  const auto isa = kernels::best_isa();
  const std::string features = kernels::cpu_features();
  const std::string has = features.empty() ? "no AVX" : features;
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  Check check{"cpu", true, fmt::format("kernels: {} (the CPU has {}); {} cores", kernels::to_string(isa), has, cores)};
  if (isa == kernels::Isa::scalar) check.detail += "; neither AVX2 nor AVX-512 was found: it works, slowly";
  return check;
}

// Each instance holds the weights; `baton serve` starts two unless told.
Check check_memory(std::uint64_t weight_bytes) {
  const double page = static_cast<double>(::sysconf(_SC_PAGE_SIZE)), weights = static_cast<double>(weight_bytes) / 1e9;
  const double total = page * static_cast<double>(::sysconf(_SC_PHYS_PAGES)) / 1e9;
  const double free = page * static_cast<double>(::sysconf(_SC_AVPHYS_PAGES)) / 1e9;
  Check check{"memory", total >= 1.0 && weights < total, fmt::format("{:.1f} GB, {:.1f} GB of it free", total, free)};
  if (weights > 0) check.detail += fmt::format("; each instance holds the model's {:.1f} GB of weights", weights);
  if (!check.ok || 2 * weights < total) return check;
  return {"memory", false, check.detail + ": too much for two, serve with --mixed 1", true};
}

std::vector<Check> check_model(const Flags& flags) {
  const std::string path = flags.model.empty() ? default_model_path() : expand_home(flags.model);
  const auto model = check_servable(path, flags.chat_template, flags.max_model_len);
  if (!model) return {check_memory(0), {"model", false, model.error().message}};
  const ModelSpec& spec = model->spec;
  Check chat{"chat", true, "the model's chat template is known, or it has none"};
  if (model->no_chat) chat = {"chat", false, model->no_chat->message, true};
  return {check_memory(model->weight_bytes),
          {"model", true, fmt::format("{}: {}, {} layers, up to {} tokens, vocabulary {}", path, spec.architecture, spec.layers,
                                      spec.longest_context(), spec.vocabulary)},
          chat};
}

Check check_ports(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  // A busy port is no fault of the machine.
  return {"ports", free, free ? fmt::format("{} is free", port) : fmt::format("{} is taken; choose another with --port", port), !free};
}

// Of the connections of a gateway with default limits, and of what it has open besides.
Check check_files() {
  constexpr std::uint64_t kBesides = 64;
  const std::uint64_t most = LimitsConfig{}.max_connections;
  const DescriptorLimit limit = descriptor_limit();
  Check check{"files", limit.hard >= most + kBesides,
              fmt::format("{} descriptors (soft limit {}, raised at start); limits.max_connections is {} unless told", limit.hard,
                          limit.soft, most)};
  if (!check.ok) {
    check.detail += fmt::format(": set the hard limit to {} or more (LimitNOFILE=, nofile), or max_connections lower", most + kBesides);
  }
  return check;
}

Check check_ucx() {
  const auto version = transport::ucx_version();
  const bool known = version.major == 1 && version.minor >= 13;
  std::string detail = fmt::format("version {}.{}{}", version.major, version.minor, known ? "" : ": 1.13 or newer is needed");
  std::string others;
  bool tcp = false;
  for (const transport::UcxTransport& found : transport::ucx_transports()) {
    if (found.name == "tcp") {
      tcp = true;
      detail += fmt::format("; uses tcp ({})", fmt::join(found.devices, ", "));
    } else {
      others += (others.empty() ? "" : ", ") + found.name;
    }
  }
  if (!tcp) detail += "; it has no tcp, which KV moves over";
  if (!others.empty()) detail += "; also found: " + others;
  return {"ucx", known && tcp, detail};
}

int run(const Flags& flags) {
  std::vector<Check> checks{check_cpu()};
  for (Check& check : check_model(flags)) checks.push_back(std::move(check));
  checks.push_back(check_ucx());
  checks.push_back(check_files());
  checks.push_back(check_ports(flags.port));
  bool fit = true;
  nlohmann::json list = nlohmann::json::array();
  for (const Check& check : checks) {
    fit = fit && (check.ok || check.warning);
    list.push_back({{"name", check.name}, {"ok", check.ok}, {"warning", check.warning}, {"detail", check.detail}});
    const char* word = check.ok ? "ok" : check.warning ? "warn" : "no";
    if (!flags.json) std::printf("%-8s %-4s %s\n", check.name.c_str(), word, check.detail.c_str());
  }
  if (flags.json) std::printf("%s\n", nlohmann::json{{"ok", fit}, {"checks", list}}.dump(2).c_str());
  return fit ? kDone : kFailed;
}

}  // namespace

void add_doctor_verb(CLI::App& app, int& status) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("doctor", "Look at this machine: CPU, memory, model file, UCX, file descriptors, ports");
  add_option(*verb, "--model", flags->model, "GGUF file or Hugging Face directory; the cached default model unless told");
  add_option(*verb, "--chat-template", flags->chat_template, "To be served with, as serve takes it");
  add_option(*verb, "--max-model-len", flags->max_model_len, "To be served with, as serve takes it");
  add_option(*verb, "--port", flags->port, "To be served on");
  add_flag(*verb, "--json", flags->json, "One JSON object instead of text");
  verb->callback([flags, &status] { status = run(*flags); });
}

}  // namespace baton::cli
