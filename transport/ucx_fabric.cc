#include "transport/ucx_fabric.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "transport/clock.h"
#include "transport/counters.h"
#include "transport/grant_table.h"
#include "transport/staging_ring.h"
#include "transport/ucx_links.h"
#include "transport/ucx_receiver.h"
#include "transport/ucx_sender.h"
#include "transport/ucx_worker.h"

namespace baton::transport {
namespace {

constexpr std::int64_t kFlushNs = 400'000'000;             // for healthy peers, in the destructor
constexpr std::int64_t kStrangersNs = 100'000'000;         // for who connected and says nothing
constexpr std::int64_t kDeadlineCheckNs = 1'000'000;       // how often deadlines are looked at while busy
constexpr std::uint32_t kMinPieceBytes = GrantTable::kMinFragmentBytes;
constexpr std::uint32_t kMaxPieceBytes = 64u << 20;

std::string complaint_about(const FabricOptions& options, const FabricListener* listener) {
  if (listener == nullptr) return "a fabric needs a listener";
  if (options.self == 0) return "a fabric needs a PeerId of its own (FabricOptions::self)";
  if (options.piece_bytes < kMinPieceBytes || options.piece_bytes > kMaxPieceBytes) {
    return "piece_bytes is " + std::to_string(options.piece_bytes) + ", must be from 4 KiB to 64 MiB";
  }
  if (options.staging_pieces == 0) return "staging_pieces must be at least 1";
  return {};
}

class UcxFabric final : public Fabric {
 public:
  UcxFabric(FabricOptions options, FabricListener* listener)
      : options_(std::move(options)), listener_(listener), grants_(options_.verify, counters_) {}

  bool start(std::string& why) {
    worker_ = UcxWorker::open(options_.bind_address, options_.port, why);
    if (!worker_) return false;
    auto in = StagingRing::open(worker_->context(), options_.piece_bytes, options_.staging_pieces, why);
    auto out = StagingRing::open(worker_->context(), options_.piece_bytes, UcxSender::kStagingPieces, why);
    if (!in || !out) return false;
    links_ = std::make_unique<UcxLinks>(
        *worker_,
        UcxLinks::Options{options_.self, options_.token, options_.piece_bytes, options_.connect_deadline_ns},
        [this](PeerId peer) { listener_->on_peer_ready(peer); },
        [this](PeerId peer, const std::string& reason, bool ours) { peer_failed(peer, reason, ours); });
    sender_ = std::make_unique<UcxSender>(*links_, std::move(out), options_, counters_);
    receiver_ = std::make_unique<UcxReceiver>(*worker_, *links_, grants_, std::move(in), counters_,
                                              [this](Transfer transfer, const Landing& landing) { report(transfer, landing); });
    if (!receiver_->start(why) || !links_->start(why)) return false;
    thread_ = std::thread([this] { run(); });
    return true;
  }

  ~UcxFabric() override {
    if (!thread_.joinable()) return;
    stopping_ = true;
    worker_->signal();
    thread_.join();
  }

  std::string address() const override { return worker_->address(); }
  const char* transport_name() const override { return "ucx"; }

  void connect(PeerId peer, const std::string& address, std::uint64_t token) override {
    post([=, this] { links_->connect(peer, address, token, now_ns()); });
  }
  void disconnect(PeerId peer) override {
    post([=, this] { links_->disconnect(peer); });
  }
  void grant(FabricGrant grant) override {
    grants_.add(std::move(grant), now_ns());
    post([] {});                       // its deadline may be the next
  }
  void drop_grant(Transfer transfer) override { grants_.drop(transfer); }
  void send(PeerId to, Transfer transfer, std::vector<SlotToSend> slots) override {
    post([=, this, slots = std::move(slots)]() mutable { sender_->send(to, transfer, std::move(slots)); });
  }
  void close_sends(Transfer transfer) override {
    post([=, this] { sender_->close(transfer); });
  }
  void abort_sends(Transfer transfer) override {
    post([=, this] { sender_->abort(transfer); });
  }
  FabricStats stats() const override { return counters_.read(); }

 private:
  using Command = std::function<void()>;

  void post(Command command) {
    bool first = false;
    {
      std::lock_guard lock(mutex_);
      first = commands_.empty();
      commands_.push_back(std::move(command));
      posted_ = true;
    }
    if (first) worker_->signal();
  }

  bool run_commands() {
    if (!posted_) return false;
    std::vector<Command> commands;
    {
      std::lock_guard lock(mutex_);
      commands.swap(commands_);
      posted_ = false;
    }
    for (Command& command : commands) command();
    return true;
  }

  void run() {
    std::int64_t last_busy = now_ns();
    std::int64_t next_check = 0;
    while (!stopping_) {
      bool busy = run_commands();
      busy |= worker_->progress();
      const std::int64_t now = now_ns();
      if (links_->unsettled() || now >= next_check) {
        links_->settle(now);
        expire_grants(now);
        next_check = now + kDeadlineCheckNs;
      }
      busy |= receiver_->pump();
      busy |= sender_->pump();
      busy |= report_finished();
      if (busy) {
        last_busy = now;
      } else if (now - last_busy >= options_.spin_ns) {
        sleep(now);
        next_check = 0;
      }
    }
    shut_down();
  }

  void sleep(std::int64_t now) {
    if (!worker_->arm() || posted_ || stopping_) return;
    const std::int64_t wake = std::min(links_->next_deadline(), grants_.next_deadline());
    worker_->wait(wake == kNever ? kNever : wake - now);
  }

  // Completions of sends and receives name objects of this fabric: they must all have come before those are gone. Closing the
  // endpoints brings them; requests that UCX did not give back in time die with the worker.
  void shut_down() {
    listener_ = nullptr;
    worker_->admit_nobody();
    receiver_->drop_waiting();
    links_->close_all(kFlushNs);
    const std::int64_t end = now_ns() + kFlushNs;
    while (sender_->in_flight() + receiver_->in_flight() > 0 && now_ns() < end) worker_->progress();
    const std::int64_t strangers_end = now_ns() + kStrangersNs;
    while (worker_->has_connections() && now_ns() < strangers_end) {
      worker_->progress();
      links_->reject_waiting();
    }
  }

  void peer_failed(PeerId peer, const std::string& why, bool ours) {
    sender_->fail_peer(peer);
    for (const Transfer transfer : grants_.take_from(peer)) fail_transfer(transfer, "its sender failed: " + why);
    if (!ours && listener_ != nullptr) listener_->on_peer_failed(peer, why);
  }

  void expire_grants(std::int64_t now) {
    for (const Transfer transfer : grants_.take_expired(now)) {
      fail_transfer(transfer, "the deadline of its grant passed before every slot had landed");
    }
  }

  void fail_transfer(Transfer transfer, const std::string& why) {
    if (listener_ != nullptr) listener_->on_transfer_failed(transfer, why);
  }

  void report(Transfer transfer, const Landing& landing) {
    if (listener_ == nullptr) return;
    if (!landing.slots.empty()) listener_->on_slots_landed(transfer, landing.slots, landing.digests);
    for (const auto& [slot, reason] : landing.rejected) listener_->on_slot_rejected(transfer, slot, reason);
  }

  bool report_finished() {
    const std::vector<FinishedSends> finished = sender_->take_finished();
    for (const FinishedSends& sends : finished) listener_->on_sends_complete(sends.transfer, sends.failed);
    return !finished.empty();
  }

  const FabricOptions options_;
  FabricListener* listener_;           // null once shutting down
  Counters counters_;
  GrantTable grants_;
  std::unique_ptr<UcxWorker> worker_;  // outlives what uses it
  std::unique_ptr<UcxLinks> links_;
  std::unique_ptr<UcxSender> sender_;
  std::unique_ptr<UcxReceiver> receiver_;
  std::mutex mutex_;
  std::vector<Command> commands_;
  std::atomic<bool> posted_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace

const char* to_string(RejectReason reason) {
  switch (reason) {
    case RejectReason::digest: return "digest";
    case RejectReason::no_grant: return "no_grant";
    case RejectReason::wrong_size: return "wrong_size";
    case RejectReason::malformed: return "malformed";
  }
  return "unknown";
}

UcxFabricResult make_ucx_fabric(FabricOptions options, FabricListener* listener) {
  if (std::string complaint = complaint_about(options, listener); !complaint.empty()) return {nullptr, std::move(complaint)};
  auto fabric = std::make_unique<UcxFabric>(std::move(options), listener);
  std::string why;
  if (!fabric->start(why)) return {nullptr, why};
  return {std::move(fabric), {}};
}

UcxVersion ucx_version() {
  UcxVersion version;
  ucp_get_version(&version.major, &version.minor, &version.release);
  return version;
}

}  // namespace baton::transport
