// Push by layer overlaps with the prefill: what is computed has landed while the rest is still being computed. Two instances' hands
// over UCX, and a device that does not go on before the test lets it; nothing is timed.
#include <gmock/gmock.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <set>
#include <utility>

#include "actors/instance/instance_host.h"
#include "runtime/kv/prefix_identity.h"
#include "tests/actors/instance/fake_device.h"
#include "transport/ucx_fabric.h"

namespace baton {
namespace {

constexpr TransferId kPushed{77};
constexpr std::uint32_t kTokens = 40, kBlocks = 3, kLayers = 3;      // the last block is filled by half

// Stands before its last layer is done until it is let go.
class GatedDevice : public FakeDevice {
 public:
  explicit GatedDevice(std::shared_future<void> gate) : gate_(std::move(gate)) {}
  Result<BatchLogits> run(std::span<const SequenceChunk> batch, LayerObserver* observer) override {
    struct Gated : LayerObserver {
      void on_layer_done(std::uint32_t layer) override {
        if (layer + 1 == kLayers) gate.wait();
        if (next != nullptr) next->on_layer_done(layer);
      }
      std::shared_future<void> gate;
      LayerObserver* next = nullptr;
    } gated;
    gated.gate = gate_;
    gated.next = observer;
    return FakeDevice::run(batch, &gated);
  }

 private:
  std::shared_future<void> gate_;
};

class Hands {
 public:
  Hands(InstanceRef self, std::unique_ptr<FakeDevice> device) {
    hello.self = self;
    hello.data_token = self.incarnation.value;
    EXPECT_TRUE(device->allocate_kv(8).ok());
    auto made = InstanceHost::make(
        std::move(device),
        [&](transport::FabricListener& listener) -> Result<std::unique_ptr<transport::Fabric>> {
          return std::move(transport::make_ucx_fabric({.self = peer_id(self), .token = hello.data_token}, &listener).fabric);
        },
        {});
    EXPECT_TRUE(made.ok());
    host = std::move(*made);
    hello.data_address = host->data_address();
    host->start([this](InstanceEvent event) {
      const std::lock_guard lock{mutex_};
      if (const auto* slots = std::get_if<SlotsLanded>(&event)) landed_.insert(slots->slots.begin(), slots->slots.end());
      done_ |= std::holds_alternative<StepDone>(event);
      changed_.notify_all();
    });
  }
  std::set<std::uint32_t> await_landed(std::size_t count) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return landed_.size() >= count; });
    return landed_;
  }
  bool await_step() {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return done_; });
  }
  bool step_is_done() {
    const std::lock_guard lock{mutex_};
    return done_;
  }
  std::vector<std::byte> kv(const std::vector<BlockId>& blocks) {
    const std::uint32_t token_bytes = host->device().layout().token_bytes();
    std::vector<std::byte> all;
    for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
      for (std::uint32_t i = 0; i < kBlocks; ++i) {
        std::vector<std::byte> part(std::size_t{token_bytes} * std::min(16u, kTokens - 16 * i));
        host->device().copy_out(layer, blocks[i], std::min(16u, kTokens - 16 * i), part);
        all.insert(all.end(), part.begin(), part.end());
      }
    }
    return all;
  }

  Hello hello;
  std::unique_ptr<InstanceHost> host;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::uint32_t> landed_;       // guarded
  bool done_ = false;                    // guarded
};

TEST(PushByLayer, every_layer_but_the_last_has_landed_before_the_last_is_computed) {
  std::promise<void> gate;
  const InstanceRef prefill_ref{InstanceId{1}, Incarnation{11}}, decode_ref{InstanceId{2}, Incarnation{12}};
  Hands prefill{prefill_ref, std::make_unique<GatedDevice>(gate.get_future().share())};
  Hands decode{decode_ref, std::make_unique<FakeDevice>()};
  prefill.host->connect(decode.hello);
  decode.host->connect(prefill.hello);

  StepSequence sequence;
  sequence.key = {RequestId{128}, Epoch{1}};
  for (std::uint32_t i = 0; i < kTokens; ++i) sequence.tokens.push_back(static_cast<TokenId>(i * 7 % FakeDevice::kVocabulary));
  sequence.blocks = {BlockId{0}, BlockId{1}, BlockId{2}};
  sequence.push = {{.transfer = kPushed, .peer = decode_ref, .block_begin = 0, .block_end = kBlocks, .last = true}};
  const std::vector<Hash128> prefix = block_identities(sequence.tokens, 16);
  const std::vector<BlockId> target{BlockId{6}, BlockId{2}, BlockId{4}};
  decode.host->carry_out(AcceptTransfer{kPushed, prefill_ref, target, prefix, kTokens, Milliseconds{60000}});
  prefill.host->carry_out(SendBlocks{kPushed, decode_ref, sequence.blocks, prefix, kTokens, true});
  const std::vector<BlockId> source = sequence.blocks;
  prefill.host->carry_out(StartStep{.step = StepId{1}, .sequences = {std::move(sequence)}});

  EXPECT_THAT(decode.await_landed(6), testing::ElementsAre(0, 1, 2, 3, 4, 5));         // slots: two layers of three blocks
  EXPECT_FALSE(prefill.step_is_done());
  EXPECT_EQ(decode.host->fabric_stats().bytes_received, 2u * kTokens * prefill.host->device().layout().token_bytes());

  gate.set_value();
  EXPECT_TRUE(prefill.await_step());
  EXPECT_THAT(decode.await_landed(9), testing::SizeIs(9));
  EXPECT_EQ(decode.kv(target), prefill.kv(source));
}

}  // namespace
}  // namespace baton
