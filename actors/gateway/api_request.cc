#include "actors/gateway/api_request.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/gateway/json_fields.h"
#include "runtime/cluster/request_core.h"

namespace baton::gateway {

using nlohmann::json;

namespace {

constexpr std::int64_t kMaxTokens = 1 << 24;           // above any context; the context's own limit is checked later
constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxBiases = 1024;
constexpr int kMaxDepth = 64;

// Where the text is valid JSON, a parser sees the same brackets; where it stops being valid, the parser stops.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else in_string = c != '"';
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    } else {
      in_string = c == '"';
    }
  }
  return false;
}

bool is_text(const json& object, const char* key, std::string_view text) {
  const auto value = object.find(key);
  return value != object.end() && value->is_string() && value->get_ref<const std::string&>() == text;
}

// An entry that was not expected, for an error.
std::string shown(const json& value) {
  if (value.is_structured()) return value.is_array() ? "a list" : "an object";
  if (value.is_string()) return '"' + excerpt(value.get_ref<const std::string&>()) + '"';
  return value.dump();
}

void read_stop(JsonFields& fields, ApiRequest& request) {
  const json* stop = fields.find("stop");
  if (!stop) return;
  if (stop->is_string()) {
    request.stop.push_back(stop->get<std::string>());
  } else if (stop->is_array()) {
    for (const json& entry : *stop) {
      if (!entry.is_string()) return fields.fail("stop", "must be a string or a list of strings");
      request.stop.push_back(entry.get<std::string>());
    }
  } else {
    return fields.fail("stop", "must be a string or a list of strings");
  }
  if (request.stop.size() > kMaxStops) fields.fail("stop", fmt::format("has {} entries; {} at most", request.stop.size(), kMaxStops));
  for (const std::string& entry : request.stop) {
    if (entry.empty()) fields.fail("stop", "must not hold an empty string");
  }
}

void read_logit_bias(JsonFields& fields, SamplingParams& sampling) {
  const json* bias = fields.find("logit_bias");
  if (!bias) return;
  if (!bias->is_object()) return fields.fail("logit_bias", "must be an object of token id to number");
  if (bias->size() > kMaxBiases) return fields.fail("logit_bias", fmt::format("has {} entries; {} at most", bias->size(), kMaxBiases));
  for (const auto& [key, value] : bias->items()) {
    TokenId token = 0;
    const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), token);
    if (failed != std::errc{} || end != key.data() + key.size() || token < 0) {
      return fields.fail("logit_bias", fmt::format("key \"{}\" is no token id", excerpt(key)));
    }
    if (!value.is_number() || !(std::abs(value.get<double>()) <= 100)) {
      return fields.fail("logit_bias", fmt::format("of token {} must be a number from -100 to 100", key));
    }
    sampling.logit_bias.emplace_back(token, value.get<float>());
  }
  std::sort(sampling.logit_bias.begin(), sampling.logit_bias.end());
}

// The fields that both kinds of request share.
void read_common(JsonFields& fields, ApiRequest& request) {
  SamplingParams& s = request.sampling;
  const auto set = [](auto& target, const auto& value) {
    if (value) target = static_cast<std::decay_t<decltype(target)>>(*value);
  };
  set(request.model, fields.string("model"));
  set(s.temperature, fields.number("temperature", 0, 100));
  set(s.top_p, fields.number("top_p", 0, 1, true));
  set(s.top_k, fields.integer("top_k", -1, std::numeric_limits<std::int32_t>::max()));
  set(s.min_p, fields.number("min_p", 0, 1));
  set(s.repetition_penalty, fields.number("repetition_penalty", 0, 100, true));
  set(s.presence_penalty, fields.number("presence_penalty", -2, 2));
  set(s.frequency_penalty, fields.number("frequency_penalty", -2, 2));
  set(s.min_tokens, fields.integer("min_tokens", 0, kMaxTokens));
  set(request.choices, fields.integer("n", 1, kChoiceStride));
  if (const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max())) {
    s.seed = static_cast<std::uint64_t>(*seed);
    request.has_seed = true;
  }
  s.ignore_eos = fields.boolean("ignore_eos", false);
  request.include_stop_in_output = fields.boolean("include_stop_str_in_output", false);
  request.skip_special_tokens = fields.boolean("skip_special_tokens", true);
  request.stream = fields.boolean("stream", false);
  request.return_token_ids = fields.boolean("return_token_ids", false);
  request.tokens_as_ids = fields.boolean("return_tokens_as_token_ids", false);
  read_stop(fields, request);
  read_logit_bias(fields, s);
  if (const json* ids = fields.find("stop_token_ids")) {
    auto parsed = parse_token_ids(*ids, "stop_token_ids");
    if (parsed.ok()) s.stop_token_ids = std::move(*parsed);
    else fields.fail(parsed.error());
  }
  if (const json* options = fields.find("stream_options")) {
    if (!options->is_object()) return fields.fail("stream_options", "must be an object");
    if (!request.stream) return fields.fail("stream_options", "is only allowed with stream: true");
    JsonFields inner(*options);
    request.include_usage = inner.boolean("include_usage", false);
    request.continuous_usage = inner.boolean("continuous_usage_stats", false);
    if (inner.error()) fields.fail(bad_request("stream_options." + inner.error()->parameter, "stream_options." + inner.error()->message));
  }
}

void read_max_tokens(JsonFields& fields, ApiRequest& request, const char* name, std::int64_t low) {
  if (const auto value = fields.integer(name, low, kMaxTokens)) {
    request.sampling.max_tokens = static_cast<std::uint32_t>(*value);
    request.has_max_tokens = true;
    request.max_tokens_name = name;
  }
}

Result<ApiRequest> finish(JsonFields& fields, ApiRequest request) {
  if (!fields.error() && request.has_max_tokens && request.sampling.min_tokens > request.sampling.max_tokens) {
    fields.fail("min_tokens", fmt::format("is {}, more than {}, {}", request.sampling.min_tokens, request.max_tokens_name,
                                          request.sampling.max_tokens));
  }
  if (fields.error()) return *fields.error();
  return request;
}

Status read_prompts(const json& value, ApiRequest& request) {
  const Error wrong = bad_request("prompt", "prompt must be a string, a list of token ids, or a list of either");
  if (value.is_string()) {
    request.prompts.emplace_back(value.get<std::string>());
    return ok();
  }
  if (!value.is_array()) return wrong;
  if (value.empty()) return bad_request("prompt", "prompt is an empty list; give at least one token or text");
  if (value[0].is_number()) {
    auto ids = parse_token_ids(value, "prompt");
    if (!ids.ok()) return ids.error();
    request.prompts.emplace_back(std::move(*ids));
    return ok();
  }
  if (value.size() > 256) return bad_request("prompt", fmt::format("prompt holds {} prompts; 256 at most in one request", value.size()));
  for (const json& entry : value) {
    if (entry.is_string()) {
      request.prompts.emplace_back(entry.get<std::string>());
    } else if (entry.is_array()) {
      auto ids = parse_token_ids(entry, "prompt");
      if (!ids.ok()) return ids.error();
      request.prompts.emplace_back(std::move(*ids));
    } else {
      return wrong;
    }
  }
  return ok();
}

// What cannot be done is refused rather than ignored where it would change the answer.
void refuse(JsonFields& fields, const char* name, const std::string& why) {
  const json* value = fields.find(name);
  if (!value || (value->is_string() && value->get_ref<const std::string&>().empty()) || (value->is_array() && value->empty())) return;
  fields.fail(name, why);
}

}  // namespace

Result<json> parse_object(const std::string& body) {
  if (too_deep(body)) return bad_request("", fmt::format("the body is nested too deeply: {} levels at most", kMaxDepth));
  json value;
  try {                                        // nlohmann's message says the byte and what was expected; it ends here
    value = json::parse(body);
  } catch (const json::exception& failure) {
    return bad_request("", fmt::format("the body is not valid JSON: {}", excerpt(failure.what(), 250)));
  }
  if (!value.is_object()) return bad_request("", "the body must be a JSON object");
  return value;
}

Result<std::vector<TokenId>> parse_token_ids(const json& value, const std::string& parameter) {
  if (!value.is_array()) return bad_request(parameter, parameter + " must be a list of token ids");
  std::vector<TokenId> ids;
  ids.reserve(value.size());
  for (const json& entry : value) {
    if (!entry.is_number_integer() || entry.get<std::int64_t>() < 0 || entry.get<std::int64_t>() > std::numeric_limits<TokenId>::max()) {
      return bad_request(parameter, fmt::format("{} must be a list of token ids; {} is none", parameter, shown(entry)));
    }
    ids.push_back(entry.get<TokenId>());
  }
  return ids;
}

Result<std::vector<ApiMessage>> parse_messages(const json& value) {
  if (!value.is_array() || value.empty()) return bad_request("messages", "messages must be a list with at least one message");
  std::vector<ApiMessage> messages;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string where = fmt::format("messages[{}]", i);
    const json& entry = value[i];
    if (!entry.is_object()) return bad_request(where, where + " must be an object with role and content");
    const auto role = entry.find("role");
    if (role == entry.end() || !role->is_string() || role->get_ref<const std::string&>().empty()) {
      return bad_request(where + ".role", where + ".role must be a string such as \"user\"");
    }
    ApiMessage message{role->get<std::string>(), ""};
    const auto content = entry.find("content");
    if (content == entry.end() || content->is_null()) {
      if (message.role != "assistant") return bad_request(where + ".content", where + ".content is missing");
    } else if (content->is_string()) {
      message.content = content->get<std::string>();
    } else if (content->is_array()) {
      for (const json& part : *content) {
        const auto text = part.is_object() && is_text(part, "type", "text") ? part.find("text") : part.end();
        if (text == part.end() || !text->is_string()) {
          return bad_request(where + ".content", where + ".content may hold only parts of {\"type\": \"text\", \"text\": ...}");
        }
        message.content += text->get_ref<const std::string&>();
      }
    } else {
      return bad_request(where + ".content", where + ".content must be a string or a list of text parts");
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

Result<ApiRequest> parse_completion_request(const std::string& body) {
  auto object = parse_object(body);
  if (!object.ok()) return object.error();
  JsonFields fields(*object);
  ApiRequest request;
  const json* prompt = fields.find("prompt");
  if (!prompt) return bad_request("prompt", "prompt is missing");
  if (const auto prompts = read_prompts(*prompt, request); !prompts.ok()) return prompts.error();
  read_common(fields, request);
  request.echo = fields.boolean("echo", false);
  request.add_special_tokens = fields.boolean("add_special_tokens", true);
  read_max_tokens(fields, request, "max_tokens", request.echo ? 0 : 1);
  if (const auto logprobs = fields.integer("logprobs", 0, 20)) {
    request.sampling.logprobs = static_cast<std::int32_t>(*logprobs);
    if (request.echo) request.sampling.prompt_logprobs = request.sampling.logprobs;
  }
  refuse(fields, "suffix", "is not supported");
  if (const auto best_of = fields.integer("best_of", 1, kChoiceStride); best_of && *best_of != request.choices) {
    fields.fail("best_of", "other than n is not supported");
  }
  return finish(fields, std::move(request));
}

Result<ApiRequest> parse_chat_request(const std::string& body) {
  auto object = parse_object(body);
  if (!object.ok()) return object.error();
  JsonFields fields(*object);
  ApiRequest request;
  request.chat = true;
  const json* messages = fields.find("messages");
  if (!messages) return bad_request("messages", "messages is missing");
  auto parsed = parse_messages(*messages);
  if (!parsed.ok()) return parsed.error();
  request.messages = std::move(*parsed);
  read_common(fields, request);
  request.add_generation_prompt = fields.boolean("add_generation_prompt", true);
  read_max_tokens(fields, request, "max_tokens", 1);
  read_max_tokens(fields, request, "max_completion_tokens", 1);
  const bool logprobs = fields.boolean("logprobs", false);
  const auto top = fields.integer("top_logprobs", 0, 20);
  if (top && *top > 0 && !logprobs) fields.fail("top_logprobs", "needs logprobs: true");
  if (logprobs) request.sampling.logprobs = static_cast<std::int32_t>(top.value_or(0));
  refuse(fields, "tools", "is not supported by this server");
  refuse(fields, "functions", "is not supported by this server");
  if (const json* format = fields.find("response_format")) {
    const bool text = format->is_object() && is_text(*format, "type", "text");
    if (!text) fields.fail("response_format", "other than {\"type\": \"text\"} is not supported");
  }
  return finish(fields, std::move(request));
}

}  // namespace baton::gateway
