#include "transport/ucx_links.h"

#include <algorithm>
#include <cstring>

#include "transport/socket_address.h"

namespace baton::transport {

UcxLinks::UcxLinks(UcxWorker& worker, Options options, PeerReady peer_ready, PeerFailed peer_failed)
    : worker_(worker), options_(options), peer_ready_(std::move(peer_ready)), peer_failed_(std::move(peer_failed)) {}

bool UcxLinks::start(std::string& why) {
  return worker_.set_handler(kHello, on_hello, this, why) && worker_.set_handler(kWelcome, on_welcome, this, why) &&
         worker_.listen(on_request, this, why);
}

// ---- what UCX calls; it may not be called back from here

void UcxLinks::on_request(ucp_conn_request_h request, void* self) { static_cast<UcxLinks*>(self)->requests_.push_back(request); }

void UcxLinks::on_error(void* self, ucp_ep_h endpoint, ucs_status_t status) {
  static_cast<UcxLinks*>(self)->errors_.emplace_back(endpoint, status);
}

ucs_status_t UcxLinks::on_hello(void* self, const void* header, std::size_t header_bytes, void*, std::size_t,
                                const ucp_am_recv_param_t* message) {
  static_cast<UcxLinks*>(self)->note(kHello, header, header_bytes, message);
  return UCS_OK;
}

ucs_status_t UcxLinks::on_welcome(void* self, const void* header, std::size_t header_bytes, void*, std::size_t,
                                  const ucp_am_recv_param_t* message) {
  static_cast<UcxLinks*>(self)->note(kWelcome, header, header_bytes, message);
  return UCS_OK;
}

void UcxLinks::note(MessageKind kind, const void* header, std::size_t header_bytes, const ucp_am_recv_param_t* message) {
  if ((message->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0 || header_bytes > kMaxGreetingBytes) return;
  const auto* bytes = static_cast<const std::byte*>(header);
  greetings_.push_back({message->reply_ep, kind, {bytes, bytes + header_bytes}});
}

// ---- making links

ucp_ep_h UcxLinks::create_endpoint(ucp_ep_params_t& params, std::string& why) {
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {on_error, this};
  ucp_ep_h endpoint = nullptr;
  const ucs_status_t status = ucp_ep_create(worker_.handle(), &params, &endpoint);
  if (status == UCS_OK) return endpoint;
  why = ucs_status_string(status);
  return nullptr;
}

void UcxLinks::connect(PeerId peer, const std::string& address, std::uint64_t token, std::int64_t now) {
  if (const LinkPtr existing = outbound(peer)) {
    if (existing->address == address) return;
    fail_peer(peer, "it moved to " + address, true);
  }
  const auto to = parse_address(address);
  if (!to) {
    peer_failed_(peer, "\"" + address + "\" is not host:port in numbers", false);
    return;
  }
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr.addr = to->get();
  params.sockaddr.addrlen = to->length;
  auto link = std::make_shared<Link>();
  std::string why;
  link->endpoint = create_endpoint(params, why);
  if (link->endpoint == nullptr) {
    peer_failed_(peer, "no endpoint to " + address + ": " + why, false);
    return;
  }
  link->peer = peer;
  link->address = address;
  link->deadline = deadline_after(now, options_.connect_deadline_ns);
  by_endpoint_[link->endpoint] = link;
  outbound_[peer] = link;
  send_control(*link, kHello, encode(Hello{kWireVersion, options_.self, token}));
}

void UcxLinks::accept(ucp_conn_request_h request, std::int64_t now) {
  if (waiting_ >= options_.max_waiting) {
    worker_.reject(request);
    return;
  }
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST;
  params.conn_request = request;
  std::string why;
  auto link = std::make_shared<Link>();
  link->endpoint = create_endpoint(params, why);
  if (link->endpoint == nullptr) return;
  link->inbound = true;
  link->deadline = deadline_after(now, options_.connect_deadline_ns);
  by_endpoint_[link->endpoint] = link;
  ++waiting_;
}

// A greeting fits one eager message, whose header UCX has copied when it completes; it is kept until then.
void UcxLinks::send_control(const Link& link, MessageKind kind, std::string header) {
  auto kept = std::make_unique<std::string>(std::move(header));
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  params.flags = UCP_AM_SEND_FLAG_REPLY | UCP_AM_SEND_FLAG_EAGER;
  params.user_data = kept.get();
  params.cb.send = [](void* request, ucs_status_t, void* user_data) {
    delete static_cast<std::string*>(user_data);
    ucp_request_free(request);
  };
  const ucs_status_ptr_t request = ucp_am_send_nbx(link.endpoint, kind, kept->data(), kept->size(), nullptr, 0, &params);
  if (UCS_PTR_IS_PTR(request)) kept.release();             // else it is sent, or failed and the error callback says so
}

// ---- greetings

void UcxLinks::handle_hello(const LinkPtr& link, std::span<const std::byte> bytes) {
  const auto hello = decode_hello(bytes);
  std::string refusal;
  if (!hello) {
    refusal = "its hello is not one";
  } else if (hello->version != kWireVersion) {
    refusal = "it speaks version " + std::to_string(hello->version) + " of the data plane, this node " +
              std::to_string(kWireVersion) + ": run the same release on all nodes";
  } else if (hello->token != options_.token) {
    refusal = "its token is not the one that the control plane issued for this node's life";
  }
  if (!refusal.empty()) {
    send_control(*link, kWelcome, encode(Welcome{false, options_.self, 0, refusal}));
    close(link, false);
    return;
  }
  if (inbound_.contains(hello->self)) fail_peer(hello->self, "it connected anew", false);
  link->peer = hello->self;
  link->ready = true;
  link->deadline = kNever;
  --waiting_;
  inbound_[link->peer] = link;
  send_control(*link, kWelcome, encode(Welcome{true, options_.self, options_.max_piece_bytes, ""}));
}

void UcxLinks::handle_welcome(const LinkPtr& link, std::span<const std::byte> bytes) {
  const auto welcome = decode_welcome(bytes);
  if (!welcome) return fail_link(link, "its answer to our hello cannot be read");
  if (!welcome->admitted) return fail_link(link, "it refused this node: " + welcome->why);
  if (welcome->self != link->peer) return fail_link(link, "another process answers at " + link->address);
  link->max_piece_bytes = welcome->max_piece_bytes;
  link->deadline = kNever;
  link->ready = true;
  peer_ready_(link->peer);
}

// ---- looking up

LinkPtr UcxLinks::outbound(PeerId peer) const {
  const auto found = outbound_.find(peer);
  return found == outbound_.end() ? nullptr : found->second;
}

LinkPtr UcxLinks::admitted(const ucp_am_recv_param_t* message) {
  if ((message->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0) return nullptr;
  const auto found = by_endpoint_.find(message->reply_ep);
  if (found == by_endpoint_.end()) return nullptr;
  const LinkPtr& link = found->second;
  if (link->inbound && link->ready) return link;
  link->intruded = intruded_ = true;
  return nullptr;
}

std::vector<LinkPtr> UcxLinks::ready_outbound() const {
  std::vector<LinkPtr> ready;
  for (const auto& [peer, link] : outbound_) {
    if (link->ready) ready.push_back(link);
  }
  return ready;
}

// ---- what happened meanwhile

void UcxLinks::settle(std::int64_t now) {
  while (!requests_.empty()) {
    const ucp_conn_request_h request = requests_.front();
    requests_.pop_front();
    accept(request, now);
  }
  while (!greetings_.empty()) {
    const Greeting greeting = std::move(greetings_.front());
    greetings_.pop_front();
    const auto found = by_endpoint_.find(greeting.endpoint);
    if (found == by_endpoint_.end()) continue;
    const LinkPtr link = found->second;
    if (link->ready || link->inbound != (greeting.kind == kHello)) continue;
    if (link->inbound) {
      handle_hello(link, greeting.bytes);
    } else {
      handle_welcome(link, greeting.bytes);
    }
  }
  while (!errors_.empty()) {
    const auto [endpoint, status] = errors_.front();
    errors_.pop_front();
    const auto found = by_endpoint_.find(endpoint);
    if (found != by_endpoint_.end()) fail_link(LinkPtr(found->second), ucs_status_string(status));
  }
  if (intruded_ || next_deadline() <= now) {
    std::vector<LinkPtr> ending;
    for (const auto& [endpoint, link] : by_endpoint_) {
      if (link->intruded || link->deadline <= now) ending.push_back(link);
    }
    for (const LinkPtr& link : ending) {
      fail_link(link, link->intruded ? "it sent what it was not admitted to" : "no answer at " + link->address + " in time");
    }
    intruded_ = false;
  }
  poll_closing();
}

std::int64_t UcxLinks::next_deadline() const {
  std::int64_t next = kNever;
  for (const auto& [endpoint, link] : by_endpoint_) next = std::min(next, link->deadline);
  return next;
}

// ---- ending links

void UcxLinks::disconnect(PeerId peer) { fail_peer(peer, "disconnected", true); }

void UcxLinks::fail_link(const LinkPtr& link, const std::string& why) {
  if (link->closed) return;
  if (link->peer != 0) {
    fail_peer(link->peer, why, false);
  } else {
    close(link, true);
  }
}

void UcxLinks::fail_peer(PeerId peer, const std::string& why, bool ours) {
  for (auto* links : {&outbound_, &inbound_}) {
    const auto found = links->find(peer);
    if (found == links->end()) continue;
    const LinkPtr link = found->second;
    links->erase(found);
    close(link, true);
  }
  peer_failed_(peer, why, ours);
}

void UcxLinks::close(const LinkPtr& link, bool force) {
  if (link->closed) return;
  if (link->inbound && !link->ready) --waiting_;
  link->closed = true;
  link->ready = false;
  by_endpoint_.erase(link->endpoint);
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  params.flags = force ? UCP_EP_CLOSE_FLAG_FORCE : 0;
  const ucs_status_ptr_t request = ucp_ep_close_nbx(link->endpoint, &params);
  if (UCS_PTR_IS_PTR(request)) closing_.push_back(request);
}

void UcxLinks::poll_closing() {
  std::erase_if(closing_, [](void* request) {
    if (ucp_request_check_status(request) == UCS_INPROGRESS) return false;
    ucp_request_free(request);
    return true;
  });
}

void UcxLinks::reject_waiting() {
  while (!requests_.empty()) {
    worker_.reject(requests_.front());
    requests_.pop_front();
  }
}

void UcxLinks::close_all(std::int64_t flush_ns) {
  reject_waiting();
  std::vector<std::pair<LinkPtr, void*>> flushing;
  for (const auto& [endpoint, link] : by_endpoint_) {
    ucp_request_param_t params{};
    const ucs_status_ptr_t request = link->ready ? ucp_ep_flush_nbx(endpoint, &params) : nullptr;
    flushing.emplace_back(link, UCS_PTR_IS_PTR(request) ? request : nullptr);
  }
  const std::int64_t flush_end = now_ns() + flush_ns;
  const auto flushed = [](const auto& entry) {
    return entry.second == nullptr || ucp_request_check_status(entry.second) != UCS_INPROGRESS;
  };
  while (!std::all_of(flushing.begin(), flushing.end(), flushed) && now_ns() < flush_end) worker_.progress();
  for (const auto& [link, request] : flushing) close(link, true);
  const std::int64_t close_end = now_ns() + flush_ns;
  while (now_ns() < close_end && (!closing_.empty() || !std::all_of(flushing.begin(), flushing.end(), flushed))) {
    worker_.progress();
    poll_closing();
  }
  for (const auto& [link, request] : flushing) {
    if (request != nullptr) ucp_request_free(request);
  }
  for (void* request : closing_) ucp_request_free(request);
  closing_.clear();
  outbound_.clear();
  inbound_.clear();
}

}  // namespace baton::transport
