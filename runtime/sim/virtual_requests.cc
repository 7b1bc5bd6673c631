#include "runtime/sim/virtual_requests.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/base/random.h"
#include "runtime/text/tokenizer.h"

namespace baton::sim {
namespace {

// Tokens have no text.
class SilentTokenizer final : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view, EncodeOptions) const override { return {}; }
  std::optional<std::string> bytes_of(TokenId, bool) const override { return std::string{}; }
  std::uint32_t vocabulary() const override { return 1u << 31; }
  bool is_special(TokenId) const override { return false; }
  std::optional<TokenId> special(std::string_view) const override { return std::nullopt; }
  const std::vector<TokenId>& eos_tokens() const override { return eos_; }
  std::optional<TokenId> bos() const override { return std::nullopt; }

 private:
  std::vector<TokenId> eos_;
};

// Prompts with a block in common have its tokens in common; what no block names is the request's own.
std::vector<TokenId> prompt_of(const TraceRequest& request, std::uint64_t own) {
  std::vector<TokenId> tokens(request.prompt_tokens);
  if (request.blocks.empty()) return tokens;
  for (std::uint32_t i = 0; i < tokens.size(); ++i) {
    const std::uint32_t block = i / kTraceBlockTokens;
    const bool named = block < request.blocks.size();
    const std::uint64_t drawn = named ? draw64(request.blocks[block], i % kTraceBlockTokens) : draw64(~own, i, 1);
    tokens[i] = static_cast<TokenId>(drawn & 0x7fffffff);
  }
  return tokens;
}

}  // namespace

VirtualRequests::VirtualRequests(VirtualWorld& world, const VirtualOptions& options, const Trace& trace)
    : world_(world),
      trace_(trace),
      check_(options.check_invariants),
      tokenizer_(std::make_shared<SilentTokenizer>()),
      live_(trace.size()),
      records_(trace.size()),
      left_(trace.size()) {
  for (std::size_t i = 0; i < trace.size(); ++i) {
    records_[i].arrival = Instant{std::llround((trace[i].arrival_s - trace[0].arrival_s) * 1e9)};
  }
}

void VirtualRequests::start() { schedule_arrival(0); }

void VirtualRequests::schedule_arrival(std::uint32_t request) {
  if (request < records_.size()) world_.schedule(records_[request].arrival, {VirtualEvent::Kind::arrival, request, 0});
}

void VirtualRequests::arrival(std::uint32_t request) {
  RequestSpec spec;
  spec.id = RequestId{(request + std::uint64_t{1}) * kChoiceStride};
  spec.gateway = VirtualWorld::ref_of(world_.gateway());
  spec.prompt = prompt_of(trace_[request], request);
  spec.sampling.ignore_eos = true;
  spec.sampling.max_tokens = std::max(trace_[request].output_tokens, 1u);      // a prefill makes one
  live_[request].core = std::make_unique<RequestCore>(std::move(spec), tokenizer_);
  on(request, StartRequest{});
  schedule_arrival(request + 1);
}

void VirtualRequests::deliver(const VirtualMessage& message) {
  std::visit([&](const auto& m) { receive(m); }, message);
}

void VirtualRequests::timer_event(const VirtualEvent& event) {
  Live& live = live_[event.party];
  if (live.core && live.timer.rings(world_, event)) on(event.party, RequestTick{});
}

template <class... Event>
void VirtualRequests::on(std::uint32_t request, const Event&... event) {
  RequestCore* core = live_[request].core.get();
  if (core == nullptr) return;             // it has ended
  for (RequestCommand& command : core->on(event..., world_.now())) {
    std::visit([&](auto& c) { carry_out(request, c); }, command);
  }
  if (check_) core->check_invariants();
  if (core->ended()) live_[request].core.reset();
}

// ---- messages --------------------------------------------------------------------------------------------------------

void VirtualRequests::receive(const Assigned& message) {
  const std::uint32_t request = request_of(message.key);
  records_[request].prefill = VirtualWorld::party_of(message.prefill);
  records_[request].decode = VirtualWorld::party_of(message.decode);
  on(request, message);
}

void VirtualRequests::receive(const StepTokens& message) {
  for (const TokenOut& token : message.tokens) on(request_of(token.key), message.from, token);
}

template <class Message>
void VirtualRequests::receive(const Message& message) {
  if constexpr (requires(RequestCore core) { core.on(message, Instant{}); }) on(request_of(message.key), message);
}

// ---- commands --------------------------------------------------------------------------------------------------------

void VirtualRequests::carry_out(std::uint32_t, SendAssign& command) { world_.post(world_.scheduler(), std::move(command.message)); }

void VirtualRequests::carry_out(std::uint32_t, SendEnded& command) { world_.post(world_.scheduler(), command.message); }

template <class Message>
void VirtualRequests::carry_out(std::uint32_t, SendToInstance<Message>& command) {
  world_.post(VirtualWorld::party_of(command.to), std::move(command.message));
}

void VirtualRequests::carry_out(std::uint32_t request, EmitToken& command) {
  VirtualRequest& record = records_[request];
  if (record.tokens == 0) record.first_token = world_.now();
  record.last_token = world_.now();
  record.tokens += static_cast<std::uint32_t>(command.tokens.size());
}

void VirtualRequests::carry_out(std::uint32_t, EmitPromptScores&) {}

void VirtualRequests::carry_out(std::uint32_t request, RequestOutcome& command) {
  if (command.error) records_[request].error = command.error->code;
  last_end_ = world_.now();
  --left_;
}

void VirtualRequests::carry_out(std::uint32_t request, SetRequestTimer& command) {
  live_[request].timer.set(command.at, world_, {VirtualEvent::Kind::request_timer, request, 0});
}

}  // namespace baton::sim
