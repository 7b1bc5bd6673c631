// One API call of /v1/completions or /v1/chat/completions from its body to its answer: prompts to requests, their events to chunks of
// a stream or to one answer. Lives on the server's thread; events of the backend's threads wait in a mailbox until that thread drains it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/gateway/api_response.h"
#include "actors/gateway/backend.h"
#include "actors/gateway/exchange.h"
#include "actors/gateway/metrics.h"
#include "runtime/text/chat_template.h"

namespace baton::gateway {

// What calls share; outlives them.
struct CallContext {
  std::shared_ptr<Backend> backend;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;   // nothing: the model has none
  GatewayMetrics* metrics = nullptr;
  std::string model_id;
  std::vector<std::string> model_names;        // accepted as `model`
  std::uint32_t max_model_len = 0;
  std::uint32_t max_requests = 0;
  std::uint32_t in_flight = 0;                 // requests
  Duration request_deadline{};
  Duration assign_deadline{};
  std::uint32_t max_attempts = 1;
  std::uint32_t max_choices = 1;
  std::function<void(std::function<void()>)> post;     // onto the server's thread, from any
  std::function<std::int64_t()> steady_ns;
  std::function<std::int64_t()> unix_s;
  std::int64_t started_s = 0;                  // Unix time at which the model was made available
  std::function<std::uint64_t()> fresh_seed;
};

class CompletionCall : public std::enable_shared_from_this<CompletionCall> {
 public:
  static void start(CallContext& context, const HttpRequest& http, bool chat, std::shared_ptr<Responder> responder);

  CompletionCall(CallContext& context, ApiRequest request, std::string id, std::shared_ptr<Responder> responder, Headers headers);

 private:
  struct Sink;
  using Event = std::variant<EmitToken, EmitPromptScores, RequestOutcome>;
  struct Mail {
    std::size_t prompt;                        // index of the sub-request
    std::int64_t at_ns;
    Event event;
  };
  struct Part {                                // one prompt: one request of the cluster
    RequestId id;
    std::string text;
    std::vector<TokenId> tokens;
    std::vector<ScoredToken> scores;
    bool ended = false;
    bool first_token_seen = false;
  };
  struct ChoiceState {
    ChoiceResult result;
    TextOffsets offsets;
    bool begun = false;                        // its role or prompt chunk was sent
    std::uint32_t tokens = 0;
    std::int64_t first_ns = 0;
    std::int64_t last_ns = 0;
  };

  Status prepare();                            // prompts to tokens, limits
  Status check_tokens();                       // that the vocabulary has them
  Status check_lengths();
  void submit();
  bool answer_without_model();
  void deliver(std::size_t part, Event event); // any thread
  void drain();
  void handle(const Mail& mail, const EmitToken& token);
  void handle(const Mail& mail, const EmitPromptScores& scores);
  void handle(const Mail& mail, const RequestOutcome& outcome);
  void send(const std::string& event);
  void begin_choice(std::size_t choice);       // what comes before its first token; counts no token yet
  void measure(const Mail& mail, ChoiceState& state, const EmitToken& token);
  void fail(const Error& error);
  void finish();
  void cancel_all();
  PromptView view(const Part& part) const;
  Usage usage() const;
  std::optional<Usage> continuous_usage() const;

  CallContext& context_;
  ApiRequest request_;
  ResponseWriter writer_;
  std::shared_ptr<Responder> responder_;       // empty once answered or gone
  Headers headers_;
  std::vector<Part> parts_;
  std::vector<ChoiceState> choices_;           // parts * n
  std::size_t open_parts_ = 0;
  std::uint32_t cached_tokens_ = 0;
  bool streaming_ = false;                     // the stream has begun
  std::int64_t arrived_ns_ = 0;

  std::mutex mailbox_mutex_;
  std::vector<Mail> mailbox_;
  bool drain_posted_ = false;
};

}  // namespace baton::gateway
