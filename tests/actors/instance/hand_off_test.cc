// The hand-off between two instances with all of their threads, but not their actors.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/actors/instance/threaded_instances.h"

namespace baton {
namespace {

using testing::SizeIs;

using Streams = std::map<RequestId, std::vector<TokenId>>;

constexpr InstanceRef kPrefill{InstanceId{1}, Incarnation{11}}, kDecode{InstanceId{2}, Incarnation{12}};
constexpr InstanceRef kGateway{InstanceId{3}, Incarnation{13}};
constexpr std::uint32_t kOutput = 12;
constexpr std::size_t kRequests = 24;                // so many that steps and hand-offs of different requests meet

InstanceOptions options_of(InstanceRef self, Role role) {
  return {.self = self, .role = role, .model_fingerprint = 7, .layers = 3, .blocks = 256, .max_model_len = 2048, .chunk_tokens = 32,
          .lease = Milliseconds{60000}, .transfer_deadline = Milliseconds{60000}, .reserve_deadline = Milliseconds{60000}};
}

// Two instances, and the requests that go through them: prefill on one, decode on the other.
class Pair : public Post {
 public:
  explicit Pair(HandOffMode mode) : mode_(mode) {
    prefill_ = std::make_unique<ThreadedInstance>(options_of(kPrefill, mode == HandOffMode::local ? Role::mixed : Role::prefill), *this);
    if (mode == HandOffMode::local) return;
    decode_ = std::make_unique<ThreadedInstance>(options_of(kDecode, Role::decode), *this);
    prefill_->meet(decode_->hello());
    decode_->meet(prefill_->hello());
  }
  ~Pair() override { end_decode(); }

  void ask_everything() {
    for (std::size_t i = 0; i < kRequests; ++i) {
      PrefillRequest request{.key = {RequestId{i + 1}, Epoch{1}}, .target = kPrefill, .gateway = kGateway};
      for (std::size_t k = 0; k < 3 + i * 37 % 110; ++k) {
        request.tokens.push_back(static_cast<TokenId>((k * 5 + i) % FakeDevice::kVocabulary));
      }
      request.prompt_tokens = static_cast<std::uint32_t>(request.tokens.size());
      request.sampling.seed = 42;
      request.sampling.max_tokens = kOutput;
      request.decode = mode_ == HandOffMode::local ? kPrefill : kDecode;
      request.mode = mode_;
      request.time_left = Milliseconds{120000};
      if (mode_ == HandOffMode::push_by_layer) {
        decode_->tell(Reserve{request.key, kDecode, kGateway, kPrefill, request.tokens, request.time_left});
      }
      {
        const std::lock_guard lock{mutex_};
        asked_[request.key.request] = request;
      }
      prefill_->tell(request);
    }
  }
  Streams await_everything() {
    std::unique_lock lock{mutex_};
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds{60}, [this] { return finished_ == kRequests; }));
    return streams_;
  }
  // A second token: its KV has moved, that of others moves.
  void await_first_decoded() {
    const auto decoded = [this] { return std::ranges::any_of(streams_, [](const auto& stream) { return stream.second.size() > 1; }); };
    std::unique_lock lock{mutex_};
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds{60}, decoded));
  }
  // As when its process dies.
  void end_decode() {
    std::unique_ptr<ThreadedInstance> ended;
    {
      const std::lock_guard lock{mutex_};
      ended = std::move(decode_);
    }
    ended.reset();
    prefill_->part(kDecode);
  }

  ThreadedInstance& prefill() { return *prefill_; }
  ThreadedInstance& decode() { return *decode_; }

 private:
  template <class Message>
  void pass(InstanceRef to, const Message& message) {
    if (to == kPrefill) return prefill_->tell(message);
    const std::lock_guard lock{mutex_};
    if (decode_ != nullptr) decode_->tell(message);
  }
  void deliver(const Offer& m) override { pass(m.target, m); }
  void deliver(const Grant& m) override { pass(m.target, m); }
  void deliver(const Withdraw& m) override { pass(m.target, m); }
  void deliver(const RenewLease& m, InstanceRef to) override { pass(to, m); }
  void deliver(const Release& m, InstanceRef to) override { pass(to, m); }
  void deliver(const AttemptFailed& m) override {
    const std::lock_guard lock{mutex_};
    if (decode_ != nullptr) ADD_FAILURE() << m.error.message;
  }
  void deliver(const StepTokens& m) override {
    for (const TokenOut& token : m.tokens) {
      PrefillRequest asked;
      {
        const std::lock_guard lock{mutex_};
        asked = asked_.at(token.key.request);
        streams_[token.key.request].push_back(token.token.chosen.token);
        if (token.finish != FinishReason::none) ++finished_;
        changed_.notify_all();
      }
      if (token.index != 0 || mode_ == HandOffMode::local) continue;
      pass(kDecode, DecodeRequest{.key = asked.key, .target = kDecode, .gateway = kGateway, .prefill = kPrefill, .tokens = asked.tokens,
                                  .prompt_tokens = asked.prompt_tokens, .sampling = asked.sampling,
                                  .choices = {{0, token.token.chosen.token}}, .mode = mode_, .time_left = asked.time_left});
    }
  }

  HandOffMode mode_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, PrefillRequest> asked_;      // guarded
  Streams streams_;                                // guarded
  std::size_t finished_ = 0;                       // guarded
  std::unique_ptr<ThreadedInstance> decode_;       // guarded once it runs
  std::unique_ptr<ThreadedInstance> prefill_;
};

TEST(HandOff, gives_the_tokens_of_one_instance_whichever_way_kv_moves_between_two) {
  Streams expected;
  {
    Pair alone{HandOffMode::local};
    alone.ask_everything();
    expected = alone.await_everything();
  }
  for (const auto& [request, tokens] : expected) EXPECT_THAT(tokens, SizeIs(kOutput));
  for (const HandOffMode mode : {HandOffMode::pull, HandOffMode::push_by_layer}) {
    Pair pair{mode};
    pair.ask_everything();
    EXPECT_EQ(pair.await_everything(), expected) << to_string(mode);
    pair.prefill().await_idle();
    EXPECT_EQ(pair.decode().await_idle().recomputed_tokens, 0u) << to_string(mode);
    EXPECT_GT(pair.decode().fabric_stats().bytes_received, 0u) << to_string(mode);
  }
}

TEST(HandOff, leaves_nothing_with_the_prefill_instance_when_the_other_ends_in_the_midst_of_it) {
  for (const HandOffMode mode : {HandOffMode::pull, HandOffMode::push_by_layer}) {
    Pair pair{mode};
    pair.ask_everything();
    pair.await_first_decoded();
    pair.end_decode();
    pair.prefill().await_idle();
  }
}

}  // namespace
}  // namespace baton
