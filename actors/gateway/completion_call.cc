#include "actors/gateway/completion_call.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "actors/gateway/api_error.h"

namespace baton::gateway {

struct CompletionCall::Sink : RequestSink {
  std::shared_ptr<CompletionCall> call;
  std::size_t part = 0;
  void on_token(const EmitToken& token) override { call->deliver(part, token); }
  void on_prompt_scores(const EmitPromptScores& scores) override { call->deliver(part, scores); }
  void on_outcome(const RequestOutcome& outcome) override { call->deliver(part, outcome); }
};

namespace {

HttpResponse error_response(const Error& error, Headers headers) {
  if (error.retry_after_s > 0) headers.emplace_back("Retry-After", std::to_string(error.retry_after_s));
  return HttpResponse{http_status(error), "application/json", error_json(error), std::move(headers)};
}

}  // namespace

void CompletionCall::start(CallContext& context, const HttpRequest& http, bool chat, std::shared_ptr<Responder> responder) {
  const std::string suffix = fmt::format("{:016x}", context.fresh_seed());
  const std::string id = (chat ? "chatcmpl-" : "cmpl-") + suffix;
  Headers headers;
  if (http.request_id.empty()) headers.emplace_back("X-Request-Id", id);
  auto parsed = chat ? parse_chat_request(http.body) : parse_completion_request(http.body);
  if (!parsed.ok()) return responder->respond(error_response(parsed.error(), std::move(headers)));
  auto call = std::make_shared<CompletionCall>(context, std::move(*parsed), id, responder, headers);
  if (const Status prepared = call->prepare(); !prepared.ok()) {
    return responder->respond(error_response(prepared.error(), std::move(headers)));
  }
  if (call->answer_without_model()) return;
  responder->on_gone([weak = std::weak_ptr(call)] {
    if (const auto alive = weak.lock()) alive->cancel_all();
  });
  call->submit();
}

CompletionCall::CompletionCall(CallContext& context, ApiRequest request, std::string id,
                               std::shared_ptr<Responder> responder, Headers headers)
    : context_(context),
      request_(std::move(request)),
      writer_(request_, std::move(id), context.unix_s(), context.model_id, context.tokenizer),
      responder_(std::move(responder)),
      headers_(std::move(headers)),
      arrived_ns_(context.steady_ns()) {}

Status CompletionCall::prepare() {
  const auto& names = context_.model_names;
  if (!request_.model.empty() && std::find(names.begin(), names.end(), request_.model) == names.end()) {
    return unknown_model(request_.model, context_.model_id);
  }
  if (request_.choices > context_.max_choices) {
    return bad_request("n", fmt::format("n is {}; this server gives at most {}", request_.choices, context_.max_choices));
  }
  if (request_.choices > context_.max_choices) {
    return bad_request("n", fmt::format("n is {}; this server gives at most {}", request_.choices, context_.max_choices));
  }
  if (request_.chat) {
    if (!context_.chat_template) {
      return bad_request("messages", "this model has no chat template; use /v1/completions, or start the server with --chat-template");
    }
    std::vector<ChatMessage> messages;
    for (const ApiMessage& message : request_.messages) messages.push_back({message.role, message.content});
    parts_.push_back({});
    parts_[0].tokens = context_.chat_template->render(messages, request_.add_generation_prompt, *context_.tokenizer);
  }
  for (const ApiPrompt& prompt : request_.prompts) {
    Part part;
    if (const auto* text = std::get_if<std::string>(&prompt)) {
      part.text = *text;
      part.tokens = context_.tokenizer->encode(*text, {.parse_special = true, .add_special = request_.add_special_tokens});
    } else {
      part.tokens = std::get<std::vector<TokenId>>(prompt);
    }
    parts_.push_back(std::move(part));
  }
  if (const Status known = check_tokens(); !known.ok()) return known;
  return check_lengths();
}

Status CompletionCall::check_tokens() {
  const auto vocabulary = static_cast<TokenId>(context_.tokenizer->vocabulary());
  const SamplingParams& sampling = request_.sampling;
  const auto known = [&](TokenId id) { return id < vocabulary; };
  for (const auto& [token, bias] : sampling.logit_bias) {
    if (!known(token)) return bad_request("logit_bias", fmt::format("logit_bias names token {}; the vocabulary has {}", token, vocabulary));
  }
  for (const TokenId token : sampling.stop_token_ids) {
    if (known(token)) continue;
    return bad_request("stop_token_ids", fmt::format("stop_token_ids names token {}; the vocabulary has {}", token, vocabulary));
  }
  for (const Part& part : parts_) {
    if (part.tokens.empty()) return bad_request(request_.chat ? "messages" : "prompt", "the prompt has no token; give at least one");
    for (const TokenId token : part.tokens) {
      if (!known(token)) return bad_request("prompt", fmt::format("prompt holds token {}; the vocabulary has {}", token, vocabulary));
    }
  }
  return ok();
}

Status CompletionCall::check_lengths() {
  SamplingParams& sampling = request_.sampling;
  std::size_t longest = 0;
  for (Part& part : parts_) {
    if (part.text.empty() && request_.echo) part.text = context_.tokenizer->decode(part.tokens, !request_.skip_special_tokens);
    longest = std::max(longest, part.tokens.size());
  }
  const char* parameter = request_.chat ? "messages" : "prompt";
  const std::size_t limit = context_.max_model_len;
  const bool only_prompt = request_.has_max_tokens && sampling.max_tokens == 0;
  if (longest > limit || (longest == limit && !only_prompt)) {
    return Error{ErrorCode::context_length_exceeded, Scope::request,
                 fmt::format("the prompt has {} tokens, and this server's context length is {} tokens, prompt and output together: "
                             "shorten the prompt", longest, limit), parameter};
  }
  if (!request_.has_max_tokens) {
    sampling.max_tokens = static_cast<std::uint32_t>(request_.chat ? limit - longest : std::min<std::size_t>(16, limit - longest));
    if (sampling.min_tokens > sampling.max_tokens) {
      return bad_request("min_tokens", fmt::format("min_tokens is {}, more than the {} tokens that this request may have without {}",
                                                   sampling.min_tokens, sampling.max_tokens, request_.max_tokens_name));
    }
  } else if (longest + sampling.max_tokens > limit) {
    return Error{ErrorCode::context_length_exceeded, Scope::request,
                 fmt::format("the prompt has {} tokens and {} are asked for, together more than this server's context length of {} tokens: "
                             "lower {} to {} or shorten the prompt",
                             longest, sampling.max_tokens, limit, request_.max_tokens_name, limit - longest),
                 request_.max_tokens_name};
  }
  if (context_.in_flight + parts_.size() > context_.max_requests) {
    return Error{ErrorCode::queue_full, Scope::cluster,
                 fmt::format("{} requests are in flight, as many as this server takes: try again later", context_.in_flight), "", 1};
  }
  return ok();
}

bool CompletionCall::answer_without_model() {
  choices_.resize(parts_.size() * request_.choices);
  if (request_.sampling.max_tokens != 0 || request_.sampling.prompt_logprobs >= 0) return false;
  for (ChoiceState& choice : choices_) choice.result.finish_reason = "length";
  finish();
  return true;
}

void CompletionCall::submit() {
  open_parts_ = parts_.size();
  context_.in_flight += static_cast<std::uint32_t>(parts_.size());
  if (!request_.has_seed) request_.sampling.seed = context_.fresh_seed();
  for (Part& part : parts_) part.id = context_.backend->next_request_id();
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    RequestSpec spec;
    spec.id = parts_[i].id;
    spec.gateway = context_.backend->self();
    spec.prompt = parts_[i].tokens;
    spec.sampling = request_.sampling;
    spec.choices = request_.choices;
    spec.stop = request_.stop;
    spec.include_stop_in_output = request_.include_stop_in_output;
    spec.skip_special_tokens = request_.skip_special_tokens;
    spec.deadline = context_.request_deadline;
    spec.assign_deadline = context_.assign_deadline;
    spec.max_attempts = context_.max_attempts;
    auto sink = std::make_shared<Sink>();
    sink->call = shared_from_this();
    sink->part = i;
    context_.backend->submit(std::move(spec), std::move(sink));
  }
}

void CompletionCall::deliver(std::size_t part, Event event) {
  const std::scoped_lock lock(mailbox_mutex_);
  mailbox_.push_back({part, context_.steady_ns(), std::move(event)});
  if (drain_posted_) return;
  drain_posted_ = true;
  context_.post([self = shared_from_this()] { self->drain(); });
}

void CompletionCall::drain() {
  std::vector<Mail> mails;
  {
    const std::scoped_lock lock(mailbox_mutex_);
    mails.swap(mailbox_);
    drain_posted_ = false;
  }
  for (const Mail& mail : mails) {
    std::visit([&](const auto& event) { handle(mail, event); }, mail.event);
  }
}

PromptView CompletionCall::view(const Part& part) const { return {part.text, part.tokens, part.scores}; }

Usage CompletionCall::usage() const {
  Usage sum;
  for (const Part& part : parts_) sum.prompt_tokens += static_cast<std::uint32_t>(part.tokens.size());
  for (const ChoiceState& choice : choices_) sum.completion_tokens += choice.tokens;
  sum.cached_tokens = cached_tokens_;
  return sum;
}

std::optional<Usage> CompletionCall::continuous_usage() const {
  return request_.continuous_usage ? std::optional(usage()) : std::nullopt;
}

// A client that does not read may be given up at any event: then cancel_all was called, and nobody is there for the next.
void CompletionCall::send(const std::string& event) {
  if (const auto responder = responder_) responder->event(event);
}

void CompletionCall::begin_choice(std::size_t index) {
  ChoiceState& choice = choices_[index];
  if (!request_.stream || choice.begun || !responder_) return;
  choice.begun = true;
  if (!streaming_) {
    streaming_ = true;
    responder_->begin_stream(headers_);
  }
  const auto number = static_cast<std::uint32_t>(index);
  if (request_.chat) {
    send(writer_.role_chunk(number, continuous_usage()));
  } else if (request_.echo) {
    const PromptView prompt = view(parts_[index / request_.choices]);
    send(writer_.prompt_chunk(number, prompt, choice.offsets, continuous_usage()));
  }
}

void CompletionCall::measure(const Mail& mail, ChoiceState& state, const EmitToken& token) {
  if (token.tokens.empty()) return;
  if (!parts_[mail.prompt].first_token_seen) {
    parts_[mail.prompt].first_token_seen = true;
    context_.metrics->first_token(Duration{mail.at_ns - arrived_ns_});
  }
  if (state.tokens == 0) state.first_ns = mail.at_ns;
  else context_.metrics->next_token(Duration{mail.at_ns - state.last_ns});
  state.last_ns = mail.at_ns;
  state.tokens += static_cast<std::uint32_t>(token.tokens.size());
}

void CompletionCall::handle(const Mail& mail, const EmitToken& token) {
  const std::size_t index = mail.prompt * request_.choices + token.choice;
  ChoiceState& choice = choices_[index];
  const bool first = choice.tokens == 0;
  begin_choice(index);
  measure(mail, choice, token);
  if (!token.finish_reason.empty()) {
    context_.metrics->choice_finished(token.finish_reason, Duration{choice.last_ns - choice.first_ns}, choice.tokens);
  }
  if (!responder_) return;
  if (request_.stream) {
    const PromptView prompt = view(parts_[mail.prompt]);
    const PromptView* with_prompt = first ? &prompt : nullptr;
    return send(writer_.token_chunk(static_cast<std::uint32_t>(index), token, choice.offsets, continuous_usage(), with_prompt));
  }
  ChoiceResult& result = choice.result;
  result.text += token.text;
  result.tokens.insert(result.tokens.end(), token.tokens.begin(), token.tokens.end());
  if (!token.finish_reason.empty()) {
    result.finish_reason = token.finish_reason;
    result.stop_reason = token.stop_reason;
    result.stop_token = token.stop_token;
  }
}

void CompletionCall::handle(const Mail& mail, const EmitPromptScores& scores) { parts_[mail.prompt].scores = scores.scores; }

void CompletionCall::handle(const Mail& mail, const RequestOutcome& outcome) {
  Part& part = parts_[mail.prompt];
  if (part.ended) return;
  part.ended = true;
  --open_parts_;
  --context_.in_flight;
  cached_tokens_ += outcome.cached_tokens;
  context_.metrics->request_finished(Duration{mail.at_ns - arrived_ns_}, outcome);
  if (!responder_) return;
  if (outcome.error) return fail(*outcome.error);
  if (open_parts_ == 0) finish();
}

void CompletionCall::fail(const Error& error) {
  const auto responder = std::exchange(responder_, nullptr);
  if (streaming_) {
    responder->event(error_json(error));
    responder->break_off();
  } else {
    responder->respond(error_response(error, headers_));
  }
  for (const Part& part : parts_) {
    if (!part.ended) context_.backend->cancel(part.id);
  }
}

void CompletionCall::finish() {
  if (!request_.stream) {
    std::vector<ChoiceResult> results;
    std::vector<PromptView> prompts;
    for (ChoiceState& choice : choices_) {
      if (choice.result.finish_reason.empty()) choice.result.finish_reason = "length";      // echo without output
      results.push_back(std::move(choice.result));
    }
    for (const Part& part : parts_) prompts.push_back(view(part));
    const auto responder = std::exchange(responder_, nullptr);
    return responder->respond({200, "application/json", writer_.whole(results, prompts, usage()), headers_});
  }
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    if (choices_[i].begun) continue;           // a choice without tokens (echo only) still has its chunk
    begin_choice(i);
    const EmitToken last{.choice = 0, .finish_reason = "length"};
    send(writer_.token_chunk(static_cast<std::uint32_t>(i), last, choices_[i].offsets, continuous_usage(), nullptr));
  }
  if (request_.include_usage) send(writer_.usage_chunk(usage()));
  send("[DONE]");
  if (const auto responder = std::exchange(responder_, nullptr)) responder->end_stream();
}

void CompletionCall::cancel_all() {
  responder_.reset();
  for (const Part& part : parts_) {
    if (!part.ended) context_.backend->cancel(part.id);
  }
}

}  // namespace baton::gateway
