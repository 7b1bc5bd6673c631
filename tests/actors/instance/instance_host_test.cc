// What of the fabric's reports reaches an instance's core.
#include "actors/instance/instance_host.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/actors/instance/fake_device.h"
#include "transport/fake_fabric.h"

namespace baton {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr TransferId kTransfer{7};
constexpr std::uint32_t kSlots = 6;              // 3 layers of 2 blocks

// An instance without a core: commands in, events out.
class Hand {
 public:
  Hand(transport::FakeHub& hub, std::uint64_t id) : ref_{InstanceId{id}, Incarnation{1}} {
    auto device = std::make_unique<FakeDevice>();
    EXPECT_TRUE(device->allocate_kv(8).ok());
    const auto make_fabric = [&](transport::FabricListener& listener) -> Result<std::unique_ptr<transport::Fabric>> {
      return hub.open({.self = peer_id(ref_), .token = id}, &listener);
    };
    host_ = InstanceHost::make(std::move(device), make_fabric, {}).value();
    host_->start([this](InstanceEvent event) { events_.push_back(std::move(event)); });
  }

  const InstanceRef& ref() const { return ref_; }
  const InstanceHost& host() const { return *host_; }
  void connect_to(const Hand& other) {
    Hello hello;
    hello.self = other.ref_;
    hello.data_address = other.host_->data_address();
    hello.data_token = other.ref_.id.value;
    host_->connect(hello);
  }
  void accept_from(const Hand& holder) {
    host_->carry_out(AcceptTransfer{kTransfer, holder.ref_, blocks(), prefix(), 20, Milliseconds{10000}});
  }
  void send_to(const Hand& receiver) { host_->carry_out(SendBlocks{kTransfer, receiver.ref_, blocks(), prefix(), 20, false}); }

  template <class Event>
  std::vector<Event> heard() const {
    std::vector<Event> found;
    for (const InstanceEvent& event : events_) {
      if (const auto* e = std::get_if<Event>(&event)) found.push_back(*e);
    }
    return found;
  }

 private:
  static std::vector<BlockId> blocks() { return {BlockId{1}, BlockId{2}}; }
  static std::vector<Hash128> prefix() { return {Hash128{1, 2}, Hash128{3, 4}}; }

  InstanceRef ref_;
  std::vector<InstanceEvent> events_;
  std::unique_ptr<InstanceHost> host_;
};

TEST(InstanceHost, lets_nobody_spoil_a_transfer_that_was_granted_to_another) {
  transport::FakeHub hub;
  Hand holder(hub, 1), receiver(hub, 2), stranger(hub, 3);
  for (Hand* sender : {&holder, &stranger}) sender->connect_to(receiver);
  receiver.accept_from(holder);
  stranger.send_to(receiver);
  hub.run();
  EXPECT_EQ(receiver.host().fabric_stats().slots_rejected_no_grant, kSlots);
  EXPECT_THAT(receiver.heard<SlotRejected>(), IsEmpty());
  holder.send_to(receiver);
  hub.run();
  std::size_t landed = 0;
  for (const SlotsLanded& event : receiver.heard<SlotsLanded>()) landed += event.slots.size();
  EXPECT_EQ(landed, kSlots);
}

TEST(InstanceHost, tells_of_a_slot_that_did_not_verify) {
  transport::FakeHub hub;
  hub.fault = [](const transport::FakePiece&) { return transport::FakeFault{.corrupt = true}; };
  Hand holder(hub, 1), receiver(hub, 2);
  holder.connect_to(receiver);
  receiver.accept_from(holder);
  holder.send_to(receiver);
  hub.run();
  EXPECT_THAT(receiver.heard<SlotRejected>(), SizeIs(1));
}

TEST(InstanceHost, tells_when_the_link_to_a_peer_is_made_and_when_it_breaks) {
  transport::FakeHub hub;
  Hand holder(hub, 1), receiver(hub, 2);
  const auto is_receiver = [&](const auto& event) { return event.peer == peer_id(receiver.ref()); };
  for (std::size_t times = 1; times <= 2; ++times) {
    holder.connect_to(receiver);
    hub.run();
    EXPECT_THAT(holder.heard<FabricPeerReady>(), SizeIs(times));
    EXPECT_THAT(holder.heard<FabricPeerFailed>(), SizeIs(times - 1));
    hub.cut(peer_id(holder.ref()), peer_id(receiver.ref()));
    hub.run();
  }
  EXPECT_TRUE(std::ranges::all_of(holder.heard<FabricPeerReady>(), is_receiver));
  EXPECT_TRUE(std::ranges::all_of(holder.heard<FabricPeerFailed>(), is_receiver));
}

}  // namespace
}  // namespace baton
