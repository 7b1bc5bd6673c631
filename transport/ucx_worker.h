// UCX set up the way the data plane needs it: one context, worker, listener and event descriptor, owned together.
//
//   features      active messages and wake-up only: the RMA feature would let a peer name any address of this process
//   transport     tcp, unless the environment's UCX_TLS says otherwise; segments of 256k; only the device that has bind_address
//   errors        endpoints report a dead peer; UCX's own signal handlers are taken out again
//
// Thread: one at a time (the fabric's, after open()); only signal() may be called from any.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "transport/wire.h"

namespace baton::transport {

class UcxWorker {
 public:
  // Listens on bind_address:port (0: any). Null with `why` filled when that is not possible.
  static std::unique_ptr<UcxWorker> open(const std::string& bind_address, std::uint16_t port, std::string& why);
  ~UcxWorker();                        // endpoints must be closed before
  UcxWorker(const UcxWorker&) = delete;
  UcxWorker& operator=(const UcxWorker&) = delete;

  ucp_worker_h handle() const { return worker_; }
  ucp_context_h context() const { return context_; }
  const std::string& address() const { return address_; }
  std::size_t max_header_bytes() const;

  bool set_handler(MessageKind kind, ucp_am_recv_callback_t callback, void* argument, std::string& why);
  // `callback` only queues the request: an endpoint may not be created inside it.
  bool listen(void (*callback)(ucp_conn_request_h, void*), void* argument, std::string& why);
  void reject(ucp_conn_request_h request);
  // The end of a worker has to wait until nobody is between being accepted and its connection request (listening_socket.h).
  void admit_nobody();
  bool has_connections() const;

  bool progress() { return ucp_worker_progress(worker_) != 0; }
  bool arm() { return ucp_worker_arm(worker_) == UCS_OK; }   // false: progress again before sleeping
  void wait(std::int64_t at_most_ns);                        // for the event descriptor; only after arm()
  void signal() { ucp_worker_signal(worker_); }

 private:
  UcxWorker() = default;
  bool open_context(const std::string& device, std::string& why);
  bool open_worker(std::string& why);

  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  ucp_listener_h listener_ = nullptr;
  int event_fd_ = -1;
  std::string bind_address_;
  std::uint16_t port_ = 0;
  std::string address_;
};

}  // namespace baton::transport
