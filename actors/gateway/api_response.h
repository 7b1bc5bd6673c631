// The JSON of OpenAI's answers: whole ones and chunks of streams, completions and chat. Chunks are put together from parts that do
// not change within a request, since one is made for every token.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "actors/gateway/api_request.h"
#include "runtime/cluster/request_core.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/utf8.h"

namespace baton::gateway {

struct Usage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint32_t cached_tokens = 0;
};

// What came of one choice so far.
struct ChoiceResult {
  std::string text;
  std::vector<ScoredToken> tokens;
  std::string finish_reason;
  std::string stop_reason;
  std::int32_t stop_token = -1;
};

// The prompt of a choice, where the answer repeats it (echo, return_token_ids).
struct PromptView {
  std::string text;
  std::span<const TokenId> tokens;
  std::span<const ScoredToken> scores;         // of tokens 1.., if asked for
};

// Where the tokens of one choice begin in the text that the answer returns, in characters. The text begins with the prompt if that
// is echoed, else with the first output token (as vLLM's). A token that ends a character begins where the character does.
class TextOffsets {
 public:
  std::size_t next(std::string_view bytes);    // the offset of the token with these bytes; the next one begins behind it

 private:
  Utf8Decoder decoder_;
  std::size_t characters_ = 0;
};

class ResponseWriter {
 public:
  ResponseWriter(const ApiRequest& request, std::string id, std::int64_t created, std::string model,
                 std::shared_ptr<const Tokenizer> tokenizer);

  const std::string& id() const { return id_; }

  // One JSON object each, without SSE framing.
  using MaybeUsage = std::optional<Usage>;     // so far, if every chunk is to say it
  std::string role_chunk(std::uint32_t index, const MaybeUsage& usage) const;               // chat: the first of a choice
  std::string prompt_chunk(std::uint32_t index, const PromptView& prompt, TextOffsets& offsets, const MaybeUsage& usage) const;   // echo
  std::string token_chunk(std::uint32_t index, const EmitToken& token, TextOffsets& offsets, const MaybeUsage& usage,
                          const PromptView* prompt) const;
  std::string usage_chunk(const Usage& usage) const;
  std::string whole(std::span<const ChoiceResult> choices, std::span<const PromptView> prompts, const Usage& usage) const;

 private:
  std::string token_text(TokenId token) const;
  nlohmann::json chat_logprobs(std::span<const ScoredToken> tokens) const;
  nlohmann::json completion_logprobs(const PromptView* prompt, std::span<const ScoredToken> tokens, TextOffsets& offsets) const;
  std::vector<std::string> prompt_pieces(const PromptView& prompt) const;
  std::string chunk(const std::string& choice_fields, const MaybeUsage& usage) const;

  const ApiRequest& request_;
  std::string id_;
  std::int64_t created_;
  std::string model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string head_;                           // {"id":...,"model":...,"choices":[
};

// A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
std::string json_string(const std::string& text);

}  // namespace baton::gateway
