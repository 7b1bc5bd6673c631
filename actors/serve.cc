#include "actors/serve.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "actors/child_process.h"
#include "actors/keys.h"
#include "actors/network/local_ports.h"
#include "actors/node_process.h"
#include "actors/node_variables.h"
#include "actors/run_directory.h"
#include "actors/steady_time.h"
#include "actors/user_paths.h"
#include "runtime/text/servable_model.h"

namespace baton {
namespace {

constexpr Duration kBackoffFirst = Milliseconds{100};
constexpr Duration kBackoffMost = Milliseconds{5000};
constexpr Duration kEndLimit = Milliseconds{5000};       // for the others, once the gateway ended

Error wrong(ErrorCode code, std::string message) { return Error{code, Scope::instance, std::move(message)}; }

struct Child {
  std::string name;
  Role role = Role::mixed;
  pid_t pid = -1;                        // -1: not running
  Instant start_at;                      // when not running
  Duration backoff = kBackoffFirst;      // before the next start; doubles until the child was ready
  bool gone = false;                     // not to be started again
};

class Supervisor {
 public:
  Supervisor(const ServeOptions& options, const ClusterConfig& cluster, const RunDirectory& directory)
      : options_(options), directory_(directory) {
    for (const NodeConfig& node : cluster.nodes) children_.push_back({.name = node.name, .role = node.role});
  }
  ~Supervisor() {
    for (const int fd : {signals_, pipe_[0], pipe_[1]}) {
      if (fd >= 0) ::close(fd);
    }
  }

  Status run() {
    if (Status status = prepare(); !status) return status;
    Status ending = ok();
    while (!stopping_) {
      start_due();
      wait_for_news();
      read_stdout();
      if (take_signals()) stopping_ = true;
      if (Status status = reap(); !status) {
        ending = status;
        break;
      }
    }
    end_all();
    return ending;
  }

 private:
  Status prepare() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ >= 0 && ::pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) == 0) return ok();
    return wrong(ErrorCode::io_error, fmt::format("cannot watch processes: {}", std::strerror(errno)));
  }

  void start_due() {
    for (Child& child : children_) {
      if (child.pid >= 0 || child.gone || child.start_at > steady_now()) continue;
      const auto pid = start_self({"node", "--config", directory_.path() + "/cluster.yaml", "--name", child.name, "--log",
                                   options_.log, "--drain-seconds", std::to_string(options_.drain.count() / 1'000'000'000)},
                                  pipe_[1]);
      if (pid) {
        child.pid = *pid;
      } else {
        spdlog::error("{}: {}", child.name, pid.error().message);
        put_off(child);
      }
    }
  }

  void put_off(Child& child) {
    child.pid = -1;
    child.start_at = steady_now() + child.backoff;
    child.backoff = std::min(child.backoff * 2, kBackoffMost);
  }

  void wait_for_news() const {
    std::int64_t wait_ms = -1;
    for (const Child& child : children_) {
      if (child.pid >= 0 || child.gone) continue;
      const std::int64_t left = std::max<std::int64_t>(0, (child.start_at - steady_now()).count() / 1'000'000 + 1);
      wait_ms = wait_ms < 0 ? left : std::min(wait_ms, left);
    }
    pollfd polled[2] = {{signals_, POLLIN, 0}, {pipe_[0], POLLIN, 0}};
    ::poll(polled, 2, static_cast<int>(wait_ms));
  }

  // Children say `ready NAME ADDRESS`, the gateway `ready http://...`: that becomes ours, once; later ones are of its restarts.
  void read_stdout() {
    char bytes[256];
    for (ssize_t got; (got = ::read(pipe_[0], bytes, sizeof bytes)) > 0;) said_.append(bytes, static_cast<std::size_t>(got));
    for (std::size_t end; (end = said_.find('\n')) != std::string::npos; said_.erase(0, end + 1)) is_ready(said_.substr(0, end));
  }
  void is_ready(const std::string& line) {
    const bool gateway = line.starts_with("ready http");
    for (Child& child : children_) {
      const bool said_so = gateway ? child.role == Role::gateway : line.starts_with("ready " + child.name + " ");
      if (said_so) child.backoff = kBackoffFirst;
    }
    if (!gateway || std::exchange(told_, true)) return;
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }

  // True when one asks to end.
  bool take_signals() const {
    bool end = false;
    signalfd_siginfo info;
    while (::read(signals_, &info, sizeof info) == sizeof info) end |= info.ssi_signo != SIGCHLD;
    return end;
  }

  // Children that died start again; one that cannot start at all, before the cluster was ever ready, ends us.
  Status reap() {
    for (int status = 0; const pid_t pid = ::waitpid(-1, &status, WNOHANG);) {
      if (pid < 0) break;
      const auto child = std::find_if(children_.begin(), children_.end(), [&](const Child& c) { return c.pid == pid; });
      if (child == children_.end()) continue;
      const bool cannot_start = WIFEXITED(status) && WEXITSTATUS(status) == kCannotStart;
      put_off(*child);
      if (stopping_) continue;
      if (cannot_start && !told_) {
        return wrong(ErrorCode::invalid_config, fmt::format("{} cannot start; its own words are above", child->name));
      }
      if (!options_.restart) {
        child->gone = true;
        spdlog::warn("{} ended ({}) and stays away (--no-restart)", child->name, describe_exit(status));
        continue;
      }
      spdlog::warn("{} ended ({}); starting it again in {} ms", child->name, describe_exit(status),
                   std::max<std::int64_t>(0, (child->start_at - steady_now()).count() / 1'000'000));
    }
    return ok();
  }

  void end_all() {
    stopping_ = true;
    end([](const Child& child) { return child.role == Role::gateway; }, options_.drain + Milliseconds{1000});
    end([](const Child&) { return true; }, kEndLimit);
  }

  // SIGTERM to those chosen; SIGKILL to all when time is up or a second signal came.
  template <class Choose>
  void end(Choose choose, Duration limit) {
    const auto alive = [&] {
      return std::any_of(children_.begin(), children_.end(), [&](const Child& c) { return c.pid >= 0 && choose(c); });
    };
    const auto signal_all = [&](int signal) {
      for (const Child& child : children_) {
        if (child.pid >= 0 && choose(child)) ::kill(child.pid, signal);
      }
    };
    signal_all(impatient_ ? SIGKILL : SIGTERM);
    const Instant until = steady_now() + limit;
    while (alive()) {
      const std::int64_t left_ms = (until - steady_now()).count() / 1'000'000;
      pollfd polled{signals_, POLLIN, 0};
      ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left_ms, 10)));
      impatient_ |= take_signals();
      if (left_ms <= 0 || impatient_) signal_all(SIGKILL);
      (void)reap();
    }
  }

  const ServeOptions& options_;
  const RunDirectory& directory_;
  std::vector<Child> children_;
  int signals_ = -1;
  int pipe_[2] = {-1, -1};               // the children's stdout
  std::string said_;                     // on it, not yet a whole line
  bool told_ = false;                    // that the cluster is ready
  bool stopping_ = false;
  bool impatient_ = false;
};

Status make_keys(ClusterConfig& cluster, const RunDirectory& directory) {
  const std::string keys = directory.path() + "/keys";
  if (Status status = make_authority(keys); !status) return status;
  for (const NodeConfig& node : cluster.nodes) {
    if (const auto issued = issue_key(keys, node.name); !issued) return issued.error();
  }
  std::error_code ignored;
  std::filesystem::remove(keys + "/ca.key", ignored);    // nobody can be issued one any more
  cluster.security.ca = keys + "/ca.pem";
  cluster.security.certificate = keys + "/{name}.pem";
  cluster.security.key = keys + "/{name}.key";
  return ok();
}

NodeConfig make_node(const ServeOptions& options, std::string name, Role role) {
  NodeConfig node;
  node.name = std::move(name);
  node.role = role;
  node.control = {"127.0.0.1", 0};
  node.data = {"127.0.0.1", 0};
  node.http = options.http;
  node.model = options.cluster.model;
  node.instance = options.cluster.instances;
  return node;
}

// What every process of it would refuse by, said once, before there is one.
Status check_model(const ClusterConfig& cluster, const std::string& model, std::uint32_t max_model_len) {
  std::error_code error;
  if (!std::filesystem::exists(model, error)) {
    return wrong(ErrorCode::not_found, fmt::format("no model at {}; run examples/quickstart.sh --build-only to fetch the default one, "
                                                   "or give --model a GGUF file or a Hugging Face directory", model));
  }
  const auto checked = check_servable(model, cluster.chat_template, max_model_len);
  if (!checked) return checked.error();
  return checked->no_chat ? Status{*checked->no_chat} : ok();
}

// What is wrong in the file that was made of flags, by the flag: "cluster.yaml:9: scheduler.routing: WHAT" is "--routing: WHAT".
Error by_flag(Error error) {
  const std::string& key = error.parameter;
  const std::size_t at = key.empty() ? std::string::npos : error.message.find(key + ": ");
  if (at == std::string::npos) return error;
  std::string flag = key.substr(key.find_last_of('.') + 1);
  if (flag == "http") flag = "host";
  if (flag == "served_name") flag = "served_model_name";
  std::replace(flag.begin(), flag.end(), '_', '-');
  error.message = fmt::format("--{}: {}", flag, error.message.substr(at + key.size() + 2));
  return error;
}

Status check_before_start(const ClusterConfig& cluster) {
  std::set<std::pair<std::string, std::uint32_t>> models;
  for (const NodeConfig& node : cluster.nodes) {
    const std::string& model = node.model.empty() ? cluster.model : node.model;
    if (node.role != Role::scheduler && models.emplace(model, node.instance.max_model_len).second) {
      if (Status status = check_model(cluster, model, node.instance.max_model_len); !status) return status;
    }
    if (node.role == Role::gateway) {
      if (Status status = check_free(node.http.host, node.http.port); !status) return status;
    }
    if (node.control.port != 0) {
      if (Status status = check_free(node.control.host, node.control.port); !status) return status;
    }
  }
  return ok();
}

}  // namespace

Result<ClusterConfig> plan_cluster(const ServeOptions& options) {
  if (options.prefill + options.mixed == 0) {
    return wrong(ErrorCode::invalid_argument, "--prefill 0 leaves nobody to read prompts; use --prefill 1, or --mixed 1 for an "
                                              "instance that does both");
  }
  if (options.decode + options.mixed == 0) {
    return wrong(ErrorCode::invalid_argument, "--decode 0 leaves nobody to generate tokens; use --decode 1, or --mixed 1 for an "
                                              "instance that does both");
  }
  ClusterConfig cluster = options.cluster;
  cluster.model = cluster.model.empty() ? default_model_path() : expand_home(cluster.model);
  ServeOptions with_model = options;
  with_model.cluster.model = cluster.model;
  cluster.nodes = {make_node(with_model, "gateway", Role::gateway), make_node(with_model, "scheduler", Role::scheduler)};
  const std::pair<std::uint32_t, Role> counts[] = {
      {options.prefill, Role::prefill}, {options.decode, Role::decode}, {options.mixed, Role::mixed}};
  for (const auto& [count, role] : counts) {
    for (std::uint32_t i = 0; i < count; ++i) {
      cluster.nodes.push_back(make_node(with_model, fmt::format("{}{}", to_string(role), i), role));
    }
  }
  return cluster;
}

Status serve(const ServeOptions& options) {
  if (const auto variables = node_variables(); !variables) return variables.error();
  auto cluster = options.config.empty() ? plan_cluster(options) : load_cluster_file(options.config);
  if (!cluster) return cluster.error();
  if (cluster->model.empty()) cluster->model = default_model_path();
  if (Status status = check_before_start(*cluster); !status) return status;
  auto ports = ReservedPorts::reserve("127.0.0.1", cluster->nodes.size());
  if (!ports) return ports.error();
  for (std::size_t i = 0; i < cluster->nodes.size(); ++i) {
    if (cluster->nodes[i].control.port == 0) cluster->nodes[i].control.port = ports->port(i);
  }
  auto directory = RunDirectory::make();
  if (!directory) return directory.error();
  const SecurityConfig& security = cluster->security;
  cluster->security.insecure |= options.cluster.security.insecure;
  if (!security.insecure && security.certificate.empty()) {
    if (Status status = make_keys(*cluster, *directory); !status) return status;
  }
  const std::string file = to_yaml(*cluster);
  if (const auto read = parse_cluster_config(file, "cluster.yaml"); !read) {
    return options.config.empty() ? by_flag(read.error()) : read.error();
  }
  if (Status status = directory->write("cluster.yaml", file); !status) return status;
  Supervisor supervisor{options, *cluster, *directory};
  return supervisor.run();
}

}  // namespace baton
