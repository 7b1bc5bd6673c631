// Endpoints and who is behind them. A link is one endpoint: outbound (made by connect, carries our pieces) or inbound (accepted,
// carries a peer's). Two processes that send to each other have one of each.
//
//   outbound   connecting ──welcome──► ready            inbound   waiting ──hello with the token──► ready
//                  └──refused, late, error──► failed                 └──wrong token, late, error──► closed
//
// A peer fails as a whole: an error on either of its links closes both. A hello from a peer that has an inbound link already means
// that it started over, so its old links fail first. Waiting links are bounded in number and in time.
//
// Thread: the fabric's. UCX's callbacks only note what happened; settle() acts, outside them.
#pragma once

#include <ucp/api/ucp.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transport/clock.h"
#include "transport/fabric.h"
#include "transport/ucx_worker.h"

namespace baton::transport {

struct Link {
  ucp_ep_h endpoint = nullptr;
  bool inbound = false;
  bool ready = false;
  bool closed = false;                 // its endpoint is closed or closing; nothing may be sent
  PeerId peer = 0;                     // 0: an inbound link that has not said hello
  std::string address;                 // outbound: where to
  std::int64_t deadline = kNever;      // to become ready
  std::uint32_t max_piece_bytes = 0;   // outbound and ready: what the receiver takes
  int pieces_in_flight = 0;
  bool intruded = false;               // sent pieces without having been admitted; closed at the next settle()
};
using LinkPtr = std::shared_ptr<Link>;

class UcxLinks {
 public:
  struct Options {
    PeerId self = 0;
    std::uint64_t token = 0;
    std::uint32_t max_piece_bytes = 0;
    std::int64_t connect_deadline_ns = 0;
    std::size_t max_waiting = 64;      // inbound links that have not said hello
  };
  // peer_failed(peer, why, ours): its links are closed already; `ours` when our own disconnect is the cause.
  using PeerFailed = std::function<void(PeerId, const std::string& why, bool ours)>;
  using PeerReady = std::function<void(PeerId)>;           // its outbound link is

  UcxLinks(UcxWorker& worker, Options options, PeerReady peer_ready, PeerFailed peer_failed);
  bool start(std::string& why);

  void connect(PeerId peer, const std::string& address, std::uint64_t token, std::int64_t now);
  void disconnect(PeerId peer);

  LinkPtr outbound(PeerId peer) const;                     // null when there is none
  LinkPtr admitted(const ucp_am_recv_param_t* message);    // the ready inbound link a message came over; null when it has none
  std::vector<LinkPtr> ready_outbound() const;

  void settle(std::int64_t now);                           // acts on what the callbacks noted and on deadlines
  bool unsettled() const { return !requests_.empty() || !errors_.empty() || !greetings_.empty() || intruded_; }
  std::int64_t next_deadline() const;

  void reject_waiting();               // requests for a connection that came and were not looked at yet
  // Healthy endpoints are flushed first, for at most `flush_ns`; then everything is closed by force.
  void close_all(std::int64_t flush_ns);

 private:
  struct Greeting {                    // a hello or a welcome, as it came
    ucp_ep_h endpoint = nullptr;
    MessageKind kind = kHello;
    std::vector<std::byte> bytes;
  };
  static constexpr std::size_t kMaxGreetingBytes = 512;

  static void on_request(ucp_conn_request_h request, void* self);
  static void on_error(void* self, ucp_ep_h endpoint, ucs_status_t status);
  static ucs_status_t on_hello(void* self, const void* header, std::size_t header_bytes, void* data, std::size_t bytes,
                               const ucp_am_recv_param_t* message);
  static ucs_status_t on_welcome(void* self, const void* header, std::size_t header_bytes, void* data, std::size_t bytes,
                                 const ucp_am_recv_param_t* message);
  void note(MessageKind kind, const void* header, std::size_t header_bytes, const ucp_am_recv_param_t* message);

  ucp_ep_h create_endpoint(ucp_ep_params_t& params, std::string& why);
  void accept(ucp_conn_request_h request, std::int64_t now);
  void handle_hello(const LinkPtr& link, std::span<const std::byte> bytes);
  void handle_welcome(const LinkPtr& link, std::span<const std::byte> bytes);
  void send_control(const Link& link, MessageKind kind, std::string header);
  void fail_link(const LinkPtr& link, const std::string& why);
  void fail_peer(PeerId peer, const std::string& why, bool ours);
  void close(const LinkPtr& link, bool force);
  void poll_closing();

  UcxWorker& worker_;
  const Options options_;
  const PeerReady peer_ready_;
  const PeerFailed peer_failed_;
  std::unordered_map<ucp_ep_h, LinkPtr> by_endpoint_;
  std::unordered_map<PeerId, LinkPtr> outbound_, inbound_;
  std::size_t waiting_ = 0;
  bool intruded_ = false;
  std::vector<void*> closing_;                             // UCX requests of endpoints being closed
  std::deque<ucp_conn_request_h> requests_;
  std::deque<std::pair<ucp_ep_h, ucs_status_t>> errors_;
  std::deque<Greeting> greetings_;
};

}  // namespace baton::transport
