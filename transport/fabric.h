// Bytes between registered memory of two processes, out of band of the control plane. The receiver always grants first: it names a
// transfer and where each of its slots lies; the sender then sends slots under that name. What arrives under no live grant, from the
// wrong peer or with the wrong digest is dropped and reported, and never touches granted memory.
//
// A slot is the unit of naming and verifying (here: one layer's part of one KV block); slots are numbered within a transfer. The
// fabric packs slots that follow each other into pieces of at most FabricOptions::piece_bytes, one active message each. Slots leave
// in the order given; they may land in another. Each lands at most once: a second copy is rejected as no_grant.
//
// Threads: every call may be made from any thread and returns at once; work is done on the fabric's own thread, which also calls the
// FabricListener, one call at a time. Memory named in a Grant or a send must stay valid until the transfer ended (see each call).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace baton::transport {

using PeerId = std::uint64_t;        // of one life of a process; a sender presents its own with its first message
using Transfer = std::uint64_t;      // chosen by the receiver, never reused

// `runs` pieces of `run_bytes`, `stride_bytes` apart, starting at base; sent packed.
struct SlotMemory {
  std::byte* base = nullptr;
  std::uint32_t run_bytes = 0;
  std::uint32_t stride_bytes = 0;
  std::uint32_t runs = 0;
  std::uint64_t digest_seed = 0;     // both sides derive it from what the slot should hold
  std::size_t bytes() const { return std::size_t{run_bytes} * runs; }
};

struct FabricGrant {
  Transfer transfer = 0;
  PeerId from = 0;
  std::vector<SlotMemory> slots;     // slot i of the transfer
  std::int64_t deadline_ns = 0;      // from now; then on_transfer_failed
};

struct SlotToSend {
  std::uint32_t slot = 0;
  SlotMemory memory;
};

enum class RejectReason : std::uint8_t { digest, no_grant, wrong_size, malformed };
const char* to_string(RejectReason reason);

struct FabricStatus {
  bool ok = true;
  std::string message;               // what to do, when not ok
};

// Called on the fabric's thread; must not block. It may call the fabric. A report that was under way when drop_grant or disconnect
// was called may still come.
class FabricListener {
 public:
  virtual ~FabricListener() = default;
  virtual void on_slots_landed(Transfer transfer, const std::vector<std::uint32_t>& slots,
                               const std::vector<std::uint64_t>& digests) = 0;
  // no_grant says nothing about the transfer named: anyone may name it. Every other reason is its own sender's doing.
  virtual void on_slot_rejected(Transfer transfer, std::uint32_t slot, RejectReason reason) = 0;
  virtual void on_transfer_failed(Transfer transfer, const std::string& why) = 0;          // receiver's side
  // Sender's side, once per transfer, after close_sends or abort_sends: nothing is outstanding, the memory is the caller's again.
  virtual void on_sends_complete(Transfer transfer, bool failed) = 0;
  virtual void on_peer_ready(PeerId peer) = 0;               // connect() is done: it has admitted this process
  virtual void on_peer_failed(PeerId peer, const std::string& why) = 0;      // nothing of its connections is left
};

struct FabricOptions {
  PeerId self = 0;
  std::string bind_address = "127.0.0.1";    // the interface of the data plane; its device is pinned
  std::uint16_t port = 0;                    // 0: any
  std::uint64_t token = 0;                   // what a peer must present in its first message
  std::uint32_t piece_bytes = 2u << 20;      // 1 to 4 MiB
  std::uint32_t staging_pieces = 32;         // the receiver's staging ring
  bool verify = true;                        // digests
  std::int64_t connect_deadline_ns = 2'000'000'000;
  std::int64_t spin_ns = 0;                  // busy-wait before sleeping on the event descriptor
  std::uint64_t flip_bit_in_piece = 0;       // fault injection: flip one bit of the Nth piece sent (1-based); 0: off
};

struct FabricStats {                         // since start; readable from any thread
  std::uint64_t bytes_received = 0;          // payload of verified slots
  std::uint64_t bytes_sent = 0;
  std::uint64_t slots_verified = 0;
  std::uint64_t slots_rejected_digest = 0;
  std::uint64_t slots_rejected_no_grant = 0;
  std::uint64_t slots_rejected_other = 0;
  std::uint64_t pieces_sent = 0;
  std::uint64_t pieces_unadmitted = 0;       // came before their sender presented the token; dropped
  std::uint64_t pieces_malformed = 0;        // their header could not be read; dropped
};

class Fabric {
 public:
  virtual ~Fabric() = default;

  virtual std::string address() const = 0;                       // host:port of the listener
  virtual const char* transport_name() const = 0;                // label of metrics: "ucx", "fake"

  // Makes `peer` reachable for sends: on_peer_ready, or on_peer_failed if it cannot be reached in time. `token` is its listener's.
  virtual void connect(PeerId peer, const std::string& address, std::uint64_t token) = 0;
  // A peer that is known to be dead or gone: sends fail at once, grants to it fail, its endpoint is force-closed. The peer, if it
  // lives, hears of it as a failure; here on_peer_failed is not called. Afterwards connect() may be called anew.
  virtual void disconnect(PeerId peer) = 0;

  // Receiver. At least one slot, each under 4 GiB. Memory must stay valid until every slot landed, or on_transfer_failed, or
  // drop_grant returned: nothing writes to it any more then.
  virtual void grant(FabricGrant grant) = 0;
  virtual void drop_grant(Transfer transfer) = 0;                // idempotent; what arrives later is rejected as no_grant

  // Sender. Slots may be added in several calls (by layer); memory stays valid until on_sends_complete. A transfer to a peer that is
  // not connected, or fails, is failed from then on; it is reported when it is closed or aborted, like every other.
  virtual void send(PeerId to, Transfer transfer, std::vector<SlotToSend> slots) = 0;
  virtual void close_sends(Transfer transfer) = 0;               // no more slots follow
  virtual void abort_sends(Transfer transfer) = 0;

  virtual FabricStats stats() const = 0;
};

}  // namespace baton::transport
