// Looks at what Baton needs on this machine and says of each thing whether it is right and what to do if not.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/cli/verbs.h"
#include "actors/descriptor_limit.h"
#include "actors/user_paths.h"
#include "kernels/isa.h"
#include "runtime/model/loaded_model.h"
#include "transport/ucx_fabric.h"
#include "transport/ucx_transports.h"

namespace baton::cli {
namespace {

struct Check {
  std::string name;
  bool ok = true;
  std::string detail;
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

Check check_memory() {
  const double page = static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  const double total = page * static_cast<double>(::sysconf(_SC_PHYS_PAGES)) / 1e9, free = page * static_cast<double>(::sysconf(_SC_AVPHYS_PAGES)) / 1e9;
  return {"memory", total >= 1.0, fmt::format("{:.1f} GB, {:.1f} GB of it free", total, free)};
}

Check check_model(const std::string& path) {
  const auto model = load_model(path);
  if (!model) return {"model", false, model.error().message};
  const ModelSpec& spec = (*model)->spec();
  return {"model", true, fmt::format("{}: {}, {} layers, context {}, vocabulary {}", path, spec.architecture, spec.layers, spec.context, spec.vocabulary)};
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
  return {"ports", free, free ? fmt::format("{} is free", port) : fmt::format("{} is taken; choose another with --port", port)};
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

}  // namespace

void add_doctor_verb(CLI::App& app, int& status) {
  struct Flags {
    std::string model;
    std::uint16_t port = 8000;
    bool json = false;
  };
  const auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("doctor", "Look at this machine: CPU, memory, model file, UCX, file descriptors, ports");
  add_option(*verb, "--model", flags->model, "GGUF file or Hugging Face directory; the cached default model unless told");
  add_option(*verb, "--port", flags->port, "To be served on");
  add_flag(*verb, "--json", flags->json, "One JSON object instead of text");
  verb->callback([flags, &status] {
    const std::string model = flags->model.empty() ? default_model_path() : expand_home(flags->model);
    const Check checks[] = {check_cpu(), check_memory(), check_model(model), check_ucx(), check_files(), check_ports(flags->port)};
    bool fit = true;
    nlohmann::json list = nlohmann::json::array();
    for (const Check& check : checks) {
      fit = fit && (check.ok || check.name == "ports");        // a busy port is no fault of the machine
      list.push_back({{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
      if (!flags->json) std::printf("%-8s %-4s %s\n", check.name.c_str(), check.ok ? "ok" : "no", check.detail.c_str());
    }
    if (flags->json) std::printf("%s\n", nlohmann::json{{"ok", fit}, {"checks", list}}.dump(2).c_str());
    status = fit ? kDone : kFailed;
  });
}

}  // namespace baton::cli
