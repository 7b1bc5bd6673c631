// A FabricListener that writes down what it is told, and a place to wait for it. All recorders of a test share one Bulletin, so that
// a condition may look at several of them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "transport/fabric.h"

namespace baton::transport {

struct Bulletin {
  std::mutex mutex;
  std::condition_variable changed;

  bool wait(const std::function<bool()>& condition, std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, at_most, condition);
  }
};

class Recorder : public FabricListener {
 public:
  explicit Recorder(Bulletin& bulletin) : bulletin_(bulletin) {}

  std::map<Transfer, std::map<std::uint32_t, std::uint64_t>> landed;     // slot -> digest (0 when off)
  std::size_t landings = 0;                                              // slots reported landed, duplicates counted
  std::vector<std::tuple<Transfer, std::uint32_t, RejectReason>> rejected;
  std::map<Transfer, std::vector<std::string>> failed;
  std::map<Transfer, std::vector<bool>> sends_complete;                  // each report: failed?
  std::map<PeerId, std::size_t> peers_ready;                             // how often
  std::map<PeerId, std::vector<std::string>> peers_failed;

  std::size_t landed_of(Transfer transfer) const {
    const auto found = landed.find(transfer);
    return found == landed.end() ? 0 : found->second.size();
  }

  void on_slots_landed(Transfer transfer, const std::vector<std::uint32_t>& slots,
                       const std::vector<std::uint64_t>& digests) override {
    tell([&] {
      landings += slots.size();
      for (std::size_t i = 0; i < slots.size(); ++i) landed[transfer][slots[i]] = digests.empty() ? 0 : digests[i];
    });
  }
  void on_slot_rejected(Transfer transfer, std::uint32_t slot, RejectReason reason) override {
    tell([&] { rejected.emplace_back(transfer, slot, reason); });
  }
  void on_transfer_failed(Transfer transfer, const std::string& why) override {
    tell([&] { failed[transfer].push_back(why); });
  }
  void on_sends_complete(Transfer transfer, bool had_failed) override {
    tell([&] { sends_complete[transfer].push_back(had_failed); });
  }
  void on_peer_ready(PeerId peer) override {
    tell([&] { ++peers_ready[peer]; });
  }
  void on_peer_failed(PeerId peer, const std::string& why) override {
    tell([&] { peers_failed[peer].push_back(why); });
  }

 private:
  template <class Change>
  void tell(Change change) {
    {
      std::lock_guard lock(bulletin_.mutex);
      change();
    }
    bulletin_.changed.notify_all();
  }
  Bulletin& bulletin_;
};

}  // namespace baton::transport
