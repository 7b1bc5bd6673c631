#include "transport/ucx_worker.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>

extern "C" {
#include <ucs/debug/debug.h>
}

#include <algorithm>
#include <cstdlib>

#include "transport/clock.h"
#include "transport/listening_socket.h"
#include "transport/socket_address.h"

namespace baton::transport {
namespace {

std::string explain(const std::string& what, ucs_status_t status) { return what + ": " + ucs_status_string(status); }

// UCX takes over SIGSEGV, SIGHUP and their like when it is loaded, before anyone can tell it not to; crashes and signals must
// mean the same with and without it.
void give_back_signals() {
  Dl_info ucx{};
  if (dladdr(reinterpret_cast<const void*>(&ucs_debug_disable_signal), &ucx) == 0) return;
  for (int number = 1; number < SIGRTMIN; ++number) {
    struct sigaction action {};
    Dl_info owner{};
    if (sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) continue;
    if (dladdr(reinterpret_cast<const void*>(action.sa_handler), &owner) == 0) continue;
    if (owner.dli_fbase == ucx.dli_fbase) ucs_debug_disable_signal(number);
  }
}

}  // namespace

std::unique_ptr<UcxWorker> UcxWorker::open(const std::string& bind_address, std::uint16_t port, std::string& why) {
  const auto device = device_of(bind_address);
  if (!device) {
    why = "no network device of this machine has the data plane's address \"" + bind_address +
          "\": give one that `ip address` lists (a number, not a name and not a wildcard)";
    return nullptr;
  }
  std::unique_ptr<UcxWorker> self(new UcxWorker);
  self->bind_address_ = bind_address;
  self->port_ = port;
  if (!self->open_context(*device, why) || !self->open_worker(why)) return nullptr;
  return self;
}

bool UcxWorker::open_context(const std::string& device, std::string& why) {
  give_back_signals();
  ucp_config_t* config = nullptr;
  if (const ucs_status_t status = ucp_config_read(nullptr, nullptr, &config); status != UCS_OK) {
    why = explain("UCX's configuration in the environment (UCX_*) cannot be read", status);
    return false;
  }
  // Until 1.16 a transport's settings go by the name in its own table, later with the prefix that the environment uses.
  unsigned major = 0, minor = 0, release = 0;
  ucp_get_version(&major, &minor, &release);
  const std::string prefix = major == 1 && minor < 17 ? "" : "TCP_";
  const std::pair<std::string, std::string> settings[] = {
      {"NET_DEVICES", device},           {"HANDLE_ERRORS", "none"},          {"TLS", "tcp"},
      {prefix + "TX_SEG_SIZE", "256k"}, {prefix + "RX_SEG_SIZE", "256k"}, {prefix + "CM_REUSEADDR", "y"}};
  for (const auto& [name, value] : settings) {
    const bool kept = name == "TLS" && std::getenv("UCX_TLS") != nullptr;
    if (!kept) ucp_config_modify(config, name.c_str(), value.c_str());
  }
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.name = "baton";
  const ucs_status_t status = ucp_init(&params, config, &context_);
  ucp_config_release(config);
  if (status != UCS_OK) why = explain("UCX cannot start on device " + device + " (is UCX_TLS set without tcp?)", status);
  return status == UCS_OK;
}

bool UcxWorker::open_worker(std::string& why) {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE | UCP_WORKER_PARAM_FIELD_EVENTS;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  params.events = UCP_WAKEUP_RX | UCP_WAKEUP_TX | UCP_WAKEUP_AMO | UCP_WAKEUP_RMA;
  ucs_status_t status = ucp_worker_create(context_, &params, &worker_);
  if (status == UCS_OK) status = ucp_worker_get_efd(worker_, &event_fd_);
  if (status != UCS_OK) why = explain("UCX cannot make a worker that sleeps", status);
  return status == UCS_OK;
}

bool UcxWorker::set_handler(MessageKind kind, ucp_am_recv_callback_t callback, void* argument, std::string& why) {
  ucp_am_handler_param_t params{};
  params.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS | UCP_AM_HANDLER_PARAM_FIELD_CB |
                      UCP_AM_HANDLER_PARAM_FIELD_ARG;
  params.id = kind;
  params.flags = UCP_AM_FLAG_WHOLE_MSG;
  params.cb = callback;
  params.arg = argument;
  const ucs_status_t status = ucp_worker_set_am_recv_handler(worker_, &params);
  if (status != UCS_OK) why = explain("UCX refuses a message handler", status);
  return status == UCS_OK;
}

bool UcxWorker::listen(void (*callback)(ucp_conn_request_h, void*), void* argument, std::string& why) {
  const auto address = parse_host(bind_address_, port_);
  ucp_listener_params_t params{};
  params.field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER;
  params.sockaddr.addr = address->get();
  params.sockaddr.addrlen = address->length;
  params.conn_handler.cb = callback;
  params.conn_handler.arg = argument;
  ucs_status_t status = ucp_listener_create(worker_, &params, &listener_);
  if (status != UCS_OK) {
    why = explain("the data plane cannot listen on " + to_string(*address) + " (is the port taken?)", status);
    return false;
  }
  ucp_listener_attr_t attributes{};
  attributes.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  status = ucp_listener_query(listener_, &attributes);
  SocketAddress bound = *address;
  bound.storage = attributes.sockaddr;
  address_ = to_string(bound);
  if (status != UCS_OK) why = explain("UCX does not tell the port it listens on", status);
  return status == UCS_OK;
}

void UcxWorker::reject(ucp_conn_request_h request) { ucp_listener_reject(listener_, request); }

void UcxWorker::admit_nobody() { transport::admit_nobody(*parse_address(address_)); }

bool UcxWorker::has_connections() const { return transport::has_connections(*parse_address(address_)); }

std::size_t UcxWorker::max_header_bytes() const {
  ucp_worker_attr_t attributes{};
  attributes.field_mask = UCP_WORKER_ATTR_FIELD_MAX_AM_HEADER;
  return ucp_worker_query(worker_, &attributes) == UCS_OK ? attributes.max_am_header : 0;
}

void UcxWorker::wait(std::int64_t at_most_ns) {
  constexpr std::int64_t kLongest = 60'000'000'000;
  const std::int64_t left = std::clamp<std::int64_t>(at_most_ns, 0, kLongest);
  const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
  pollfd entry{event_fd_, POLLIN, 0};
  ppoll(&entry, 1, &timeout, nullptr);
}

UcxWorker::~UcxWorker() {
  if (listener_ != nullptr) ucp_listener_destroy(listener_);
  if (worker_ != nullptr) ucp_worker_destroy(worker_);
  if (context_ != nullptr) ucp_cleanup(context_);
}

}  // namespace baton::transport
