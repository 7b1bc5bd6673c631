#include "transport/ucx_receiver.h"

#include <utility>

namespace baton::transport {

ucs_status_t UcxReceiver::on_piece(void* self, const void* header, std::size_t header_bytes, void* data, std::size_t bytes,
                                   const ucp_am_recv_param_t* message) {
  return static_cast<UcxReceiver*>(self)->take({static_cast<const std::byte*>(header), header_bytes}, data, bytes, message);
}

// UCS_OK drops what was not received: the sender's request completes all the same.
ucs_status_t UcxReceiver::take(std::span<const std::byte> encoded, void* data, std::size_t bytes,
                               const ucp_am_recv_param_t* message) {
  const LinkPtr link = links_.admitted(message);
  if (link == nullptr) {
    ++counters_.pieces_unadmitted;
    return UCS_OK;
  }
  auto header = decode_piece(encoded);
  if (!header) {
    ++counters_.pieces_malformed;
    return UCS_OK;
  }
  const auto reject = [&](RejectReason reason) {
    landed_(header->transfer, grants_.reject_all(*header, reason));
    return UCS_OK;
  };
  if (!grants_.live(header->transfer, link->peer)) return reject(RejectReason::no_grant);
  if (header->payload_bytes() != bytes) return reject(RejectReason::malformed);
  if ((message->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0) {
    landed_(header->transfer, grants_.land(link->peer, *header, {static_cast<const std::byte*>(data), bytes}));
    return UCS_OK;
  }
  if (bytes > staging_->buffer_bytes()) return reject(RejectReason::wrong_size);
  auto arrival = std::make_unique<Arrival>();
  arrival->receiver = this;
  arrival->link = link;
  arrival->header = *std::move(header);
  arrival->descriptor = data;
  arrival->bytes = bytes;
  if (staging_->empty() || !waiting_.empty()) {
    waiting_.push_back(std::move(arrival));
  } else {
    start_receive(std::move(arrival));
  }
  return UCS_INPROGRESS;
}

bool UcxReceiver::pump() {
  bool started = false;
  while (!waiting_.empty() && (waiting_.front()->link->closed || !staging_->empty())) {
    std::unique_ptr<Arrival> arrival = std::move(waiting_.front());
    waiting_.pop_front();
    if (arrival->link->closed) {
      ucp_am_data_release(worker_.handle(), arrival->descriptor);
    } else {
      start_receive(std::move(arrival));
    }
    started = true;
  }
  return started;
}

void UcxReceiver::start_receive(std::unique_ptr<Arrival> arrival) {
  arrival->buffer = staging_->take();
  ++in_flight_;
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  params.user_data = arrival.get();
  params.cb.recv_am = on_received;
  const ucs_status_ptr_t request =
      ucp_am_recv_data_nbx(worker_.handle(), arrival->descriptor, arrival->buffer, arrival->bytes, &params);
  if (UCS_PTR_IS_PTR(request)) {
    arrival.release();                           // on_received has it
  } else {
    finish_receive(std::move(arrival), UCS_PTR_RAW_STATUS(request));
  }
}

void UcxReceiver::on_received(void* request, ucs_status_t status, std::size_t, void* user_data) {
  std::unique_ptr<Arrival> arrival(static_cast<Arrival*>(user_data));
  UcxReceiver* const receiver = arrival->receiver;
  receiver->finish_receive(std::move(arrival), status);
  ucp_request_free(request);
}

// A receive that failed says nothing: its link's failure does. The link may also have failed after the bytes were complete; its
// grants ended with it, and the table rejects them.
void UcxReceiver::finish_receive(std::unique_ptr<Arrival> arrival, ucs_status_t status) {
  if (status == UCS_OK) {
    landed_(arrival->header.transfer,
            grants_.land(arrival->link->peer, arrival->header, {arrival->buffer, arrival->bytes}));
  }
  staging_->give_back(arrival->buffer);
  --in_flight_;
}

void UcxReceiver::drop_waiting() {
  for (const auto& arrival : waiting_) ucp_am_data_release(worker_.handle(), arrival->descriptor);
  waiting_.clear();
}

}  // namespace baton::transport
