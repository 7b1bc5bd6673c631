// The gateway of a test: dispatches requests once, without recovery, and holds what it is sent against the undisturbed output.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "tests/runtime/instance/fake_cluster_helpers.h"

namespace baton::testing {

inline constexpr InstanceRef kGateway{InstanceId{1000}, Incarnation{1}};

inline InstanceOptions instance(std::uint64_t id, std::uint32_t blocks) {
  InstanceOptions options;
  options.self = {InstanceId{id}, Incarnation{7}};
  options.model_fingerprint = kFakeModel;
  options.layers = 2;
  options.eos_tokens = {1, 2, 3};
  options.blocks = blocks;
  options.block_tokens = 4;
  options.max_model_len = 512;
  options.watermark_blocks = 2;
  return options;
}

class FakeGateway {
 public:
  struct Tracked {
    PrefillRequest request;
    std::map<std::uint32_t, std::vector<TokenId>> output;     // by choice
    std::map<std::uint32_t, FinishReason> finished;
    std::optional<AttemptFailed> failed;
    std::optional<PromptScores> scores;
    std::uint32_t first_tokens = 0;
    std::vector<ChoiceStart> going_on;
    bool over() const { return failed || (scores && scores->last) || finished.size() == request.choices; }
  };

  explicit FakeGateway(FakeCluster& cluster) : cluster_(cluster) {
    cluster.to_gateway = [this](InstanceRef to, const InstanceCommand& command) {
      if (to != kGateway) return;                              // a peer that is gone
      if (const auto* m = std::get_if<SendTo<StepTokens>>(&command))
        for (const TokenOut& token : m->message.tokens) on_token(token);
      if (const auto* m = std::get_if<SendTo<AttemptFailed>>(&command)) tracked_[m->message.key].failed = m->message;
      if (const auto* m = std::get_if<SendTo<PromptScores>>(&command)) tracked_[m->message.key].scores = m->message;
    };
  }

  void dispatch(PrefillRequest request) {
    if (request.mode == HandOffMode::push_by_layer) {
      cluster_.send(kGateway, request.decode,
                    Reserve{request.key, request.decode, kGateway, request.target, request.tokens, request.time_left});
    }
    cluster_.send(kGateway, request.target, request);
    tracked_[request.key].request = std::move(request);
  }

  bool all_over() const {
    return std::ranges::all_of(tracked_, [](const auto& entry) { return entry.second.over(); });
  }
  const std::map<RequestKey, Tracked>& tracked() const { return tracked_; }
  Tracked& operator[](const RequestKey& key) { return tracked_[key]; }

 private:
  void on_token(const TokenOut& token) {
    Tracked& t = tracked_.at(token.key);
    auto& output = t.output[token.choice];
    CHECK(!t.finished.contains(token.choice), "a token after the last");
    CHECK(token.index == output.size() + (t.request.tokens.size() - t.request.prompt_tokens), "token {} out of order",
          token.index);
    output.push_back(token.token.chosen.token);
    if (token.finish != FinishReason::none) t.finished[token.choice] = token.finish;
    if (output.size() != 1) return;
    ++t.first_tokens;
    if (token.finish == FinishReason::none) t.going_on.push_back({token.choice, token.token.chosen.token});
    if (t.first_tokens < t.request.choices || t.request.mode == HandOffMode::local) return;
    const PrefillRequest& r = t.request;
    if (t.going_on.empty()) {
      cluster_.send(kGateway, r.decode, CancelRequest{r.key, -1});
    } else {
      cluster_.send(kGateway, r.decode, DecodeRequest{r.key, r.decode, kGateway, r.target, r.tokens, r.prompt_tokens, r.sampling,
                                                      t.going_on, r.mode, r.time_left});
    }
  }

  FakeCluster& cluster_;
  std::map<RequestKey, Tracked> tracked_;
};

// Prompts share prefixes now and then, as real ones do.
inline PrefillRequest random_request(Random& random, std::uint64_t id, InstanceRef prefill, InstanceRef decode, HandOffMode mode,
                                     std::uint32_t longest_prompt, std::uint32_t longest_output) {
  PrefillRequest request;
  request.key = {RequestId{id * 128}, Epoch{1}};
  request.target = prefill;
  request.decode = decode;
  request.mode = mode;
  request.gateway = kGateway;
  const auto length = 1 + random.below(longest_prompt);
  const bool shared = random.below(2) == 0;
  for (std::uint64_t i = 0; i < length; ++i) {
    const bool common = shared && i < 3 * length / 4;
    request.tokens.push_back(static_cast<TokenId>(10 + (common ? i : random.below(kFakeVocabulary - 10))));
  }
  request.prompt_tokens = static_cast<std::uint32_t>(length);
  request.sampling.seed = random.next();
  request.sampling.max_tokens = static_cast<std::uint32_t>(1 + random.below(longest_output));
  request.choices = random.below(4) == 0 ? 3 : 1;
  request.time_left = Milliseconds{100000};
  return request;
}

}  // namespace baton::testing
