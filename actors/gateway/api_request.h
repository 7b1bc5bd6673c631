// A body of /v1/completions or /v1/chat/completions, read and checked: what the rest of the gateway works with. Unknown fields are
// ignored (load generators send extras); null means absent; a wrong value is an error that names its parameter.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "runtime/base/result.h"
#include "runtime/messages/sampling_params.h"

namespace baton::gateway {

struct ApiMessage {
  std::string role;
  std::string content;
};
using ApiPrompt = std::variant<std::string, std::vector<TokenId>>;

struct ApiRequest {
  bool chat = false;
  std::string model;                           // empty: not given
  std::vector<ApiPrompt> prompts;              // completions: at least one
  std::vector<ApiMessage> messages;            // chat: at least one
  bool add_generation_prompt = true;
  bool add_special_tokens = true;              // completions
  SamplingParams sampling;                     // seed and max_tokens only where has_* says so
  bool has_seed = false;
  bool has_max_tokens = false;
  std::string max_tokens_name = "max_tokens";  // as the client called it
  std::uint32_t choices = 1;
  std::vector<std::string> stop;
  bool include_stop_in_output = false;
  bool skip_special_tokens = true;
  bool echo = false;
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;
  bool return_token_ids = false;
  bool tokens_as_ids = false;                  // keys "token_id:N"
};

Result<ApiRequest> parse_completion_request(const std::string& body);
Result<ApiRequest> parse_chat_request(const std::string& body);

// The body as a JSON object, or an error that says where it is malformed (invalid UTF-8 included). Nested deeper than 64 it is
// refused before anything of it is built: copying, printing and destroying a value recurse over its depth.
Result<nlohmann::json> parse_object(const std::string& body);
Result<std::vector<ApiMessage>> parse_messages(const nlohmann::json& value);
// A list of token ids; range is checked against the vocabulary by the caller.
Result<std::vector<TokenId>> parse_token_ids(const nlohmann::json& value, const std::string& parameter);

}  // namespace baton::gateway
