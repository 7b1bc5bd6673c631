#include "actors/gateway/api_response.h"

#include <algorithm>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

namespace baton::gateway {

using nlohmann::json;

namespace {

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

json ids_of(std::span<const ScoredToken> tokens) {
  json ids = json::array();
  for (const ScoredToken& token : tokens) ids.push_back(token.chosen.token);
  return ids;
}

std::string finish_json(const std::string& reason) { return reason.empty() ? "null" : '"' + reason + '"'; }

std::string stop_reason_json(const std::string& text, std::int32_t token) {
  if (!text.empty()) return json_string(text);
  return token >= 0 ? std::to_string(token) : "null";
}

}  // namespace

std::size_t TextOffsets::next(std::string_view bytes) {
  const std::size_t begin = characters_;
  std::string text;
  decoder_.push(bytes, text);
  characters_ += static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; }));
  return begin;
}

std::string json_string(const std::string& text) { return dump(json(text)); }

ResponseWriter::ResponseWriter(const ApiRequest& request, std::string id, std::int64_t created, std::string model,
                               std::shared_ptr<const Tokenizer> tokenizer)
    : request_(request), id_(std::move(id)), created_(created), model_(std::move(model)), tokenizer_(std::move(tokenizer)) {
  head_ = fmt::format(R"({{"id":{},"object":"{}","created":{},"model":{},"choices":[)", json_string(id_),
                      request.chat ? "chat.completion.chunk" : "text_completion", created_, json_string(model_));
}

std::string ResponseWriter::token_text(TokenId token) const {
  if (request_.tokens_as_ids) return fmt::format("token_id:{}", token);
  return tokenizer_->bytes_of(token, true).value_or("");
}

json ResponseWriter::chat_logprobs(std::span<const ScoredToken> tokens) const {
  const auto entry = [&](const TokenLogprob& scored) {
    const std::string bytes = tokenizer_->bytes_of(scored.token, true).value_or("");
    json values = json::array();
    for (const char byte : bytes) values.push_back(static_cast<unsigned char>(byte));
    return json{{"token", token_text(scored.token)}, {"logprob", scored.logprob}, {"bytes", std::move(values)}};
  };
  json content = json::array();
  for (const ScoredToken& token : tokens) {
    json item = entry(token.chosen);
    item["top_logprobs"] = json::array();
    for (std::size_t i = 0; i < token.top.size() && i < static_cast<std::size_t>(request_.sampling.logprobs); ++i) {
      item["top_logprobs"].push_back(entry(token.top[i]));
    }
    content.push_back(std::move(item));
  }
  return {{"content", std::move(content)}};
}

// What each token of an echoed prompt adds to its text: a control token that the client spelled stands there, one that the
// tokenizer put in front or that was given by id may not.
std::vector<std::string> ResponseWriter::prompt_pieces(const PromptView& prompt) const {
  std::vector<std::string> pieces;
  std::string_view left = prompt.text;
  for (const TokenId token : prompt.tokens) {
    std::string piece = tokenizer_->bytes_of(token, true).value_or("");
    if (tokenizer_->is_special(token) && !left.starts_with(piece)) piece.clear();
    left.remove_prefix(std::min(piece.size(), left.size()));
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

json ResponseWriter::completion_logprobs(const PromptView* prompt, std::span<const ScoredToken> tokens, TextOffsets& offsets) const {
  json texts = json::array(), scores = json::array(), tops = json::array(), begins = json::array();
  const auto add = [&](const ScoredToken& token, std::string_view bytes) {
    const std::string text = token_text(token.chosen.token);
    json top = json::object();
    for (const TokenLogprob& other : token.top) top[token_text(other.token)] = other.logprob;
    top[text] = token.chosen.logprob;
    texts.push_back(text);
    scores.push_back(token.chosen.logprob);
    tops.push_back(std::move(top));
    begins.push_back(offsets.next(bytes));
  };
  if (prompt && request_.echo && !prompt->tokens.empty()) {
    texts.push_back(token_text(prompt->tokens[0]));
    scores.push_back(nullptr);                 // nothing precedes the first token
    tops.push_back(nullptr);
    const std::vector<std::string> pieces = prompt_pieces(*prompt);
    begins.push_back(offsets.next(pieces[0]));
    for (std::size_t i = 0; i < prompt->scores.size(); ++i) add(prompt->scores[i], i + 1 < pieces.size() ? pieces[i + 1] : "");
  }
  for (const ScoredToken& token : tokens) add(token, tokenizer_->bytes_of(token.chosen.token, !request_.skip_special_tokens).value_or(""));
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(scores)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(begins)}};
}

std::string ResponseWriter::chunk(const std::string& choice_fields, const MaybeUsage& usage) const {
  std::string text = head_;
  if (!choice_fields.empty()) text += '{' + choice_fields + '}';
  text += ']';
  if (usage) text += ",\"usage\":" + dump(usage_json(*usage));
  else if (request_.include_usage) text += ",\"usage\":null";
  return text + '}';
}

std::string ResponseWriter::role_chunk(std::uint32_t index, const MaybeUsage& usage) const {
  constexpr const char* kFields = R"("index":{},"delta":{{"role":"assistant","content":""}},"logprobs":null,"finish_reason":null)";
  return chunk(fmt::format(kFields, index), usage);
}

std::string ResponseWriter::prompt_chunk(std::uint32_t index, const PromptView& prompt, TextOffsets& offsets,
                                         const MaybeUsage& usage) const {
  std::string fields = fmt::format(R"("index":{},"text":{},"logprobs":)", index, json_string(prompt.text));
  fields += request_.sampling.logprobs >= 0 ? dump(completion_logprobs(&prompt, {}, offsets)) : "null";
  fields += R"(,"finish_reason":null)";
  return chunk(fields, usage);
}

std::string ResponseWriter::token_chunk(std::uint32_t index, const EmitToken& token, TextOffsets& offsets, const MaybeUsage& usage,
                                        const PromptView* prompt) const {
  std::string fields = fmt::format("\"index\":{},", index);
  fields += request_.chat ? "\"delta\":{\"content\":" + json_string(token.text) + '}' : "\"text\":" + json_string(token.text);
  fields += ",\"logprobs\":";
  if (request_.sampling.logprobs < 0) fields += "null";
  else fields += dump(request_.chat ? chat_logprobs(token.tokens) : completion_logprobs(nullptr, token.tokens, offsets));
  fields += ",\"finish_reason\":" + finish_json(token.finish_reason);
  if (!token.finish_reason.empty()) fields += ",\"stop_reason\":" + stop_reason_json(token.stop_reason, token.stop_token);
  if (request_.return_token_ids) {
    fields += ",\"token_ids\":" + dump(ids_of(token.tokens));
    if (prompt) fields += ",\"prompt_token_ids\":" + dump(json(std::vector<TokenId>(prompt->tokens.begin(), prompt->tokens.end())));
  }
  return chunk(fields, usage);
}

std::string ResponseWriter::usage_chunk(const Usage& usage) const { return chunk("", usage); }

std::string ResponseWriter::whole(std::span<const ChoiceResult> choices, std::span<const PromptView> prompts, const Usage& usage) const {
  json list = json::array();
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const ChoiceResult& result = choices[i];
    const PromptView& prompt = prompts[i / request_.choices];
    json choice = {{"index", i}, {"finish_reason", result.finish_reason.empty() ? json(nullptr) : json(result.finish_reason)}};
    choice["stop_reason"] = json::parse(stop_reason_json(result.stop_reason, result.stop_token), nullptr, false);
    if (request_.chat) choice["message"] = {{"role", "assistant"}, {"content", result.text}};
    else choice["text"] = (request_.echo ? prompt.text : std::string()) + result.text;
    TextOffsets offsets;
    if (request_.sampling.logprobs < 0) choice["logprobs"] = nullptr;
    else choice["logprobs"] = request_.chat ? chat_logprobs(result.tokens) : completion_logprobs(&prompt, result.tokens, offsets);
    if (request_.return_token_ids) {
      choice["token_ids"] = ids_of(result.tokens);
      choice["prompt_token_ids"] = std::vector<TokenId>(prompt.tokens.begin(), prompt.tokens.end());
    }
    list.push_back(std::move(choice));
  }
  return dump({{"id", id_}, {"object", request_.chat ? "chat.completion" : "text_completion"}, {"created", created_},
               {"model", model_}, {"choices", std::move(list)}, {"usage", usage_json(usage)}});
}

}  // namespace baton::gateway
