// A conversation as the model was trained to read it. The templates that Baton knows are written out here; a model file's Jinja
// text is only recognised, by its whole program (jinja_outline.h), and one that differs in anything is refused rather than
// approximated. Markers of turns become control tokens; what a message says stays text, whatever it spells.
//
//   chatml    <|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n
//   llama3    <|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello!<|eot_id|>
//             <|start_header_id|>assistant<|end_header_id|>\n\n
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/result.h"

namespace baton {

class Tokenizer;

struct ChatMessage {
  std::string role;
  std::string content;
};

class ChatTemplate {
 public:
  // Names that --chat-template takes.
  static std::vector<std::string_view> names();
  // Error: unsupported, with the names there are.
  static Result<ChatTemplate> named(std::string_view name);
  // From a model file's Jinja text. Error: unsupported, saying how to choose.
  static Result<ChatTemplate> recognised(std::string_view jinja);

  std::string_view name() const { return name_; }
  std::string render_text(std::span<const ChatMessage> messages, bool add_generation_prompt) const;
  // Text between two markers is encoded as one run, so that "user\n" and the content merge as in the whole rendered text.
  std::vector<TokenId> render(std::span<const ChatMessage> messages, bool add_generation_prompt, const Tokenizer& tokenizer) const;
  // The control tokens it writes; a vocabulary without them does not go with it.
  std::vector<std::string> markers() const;
  // The text that stands for Jinja's bos_token.
  void set_bos(std::string spelling) { bos_ = std::move(spelling); }

 private:
  enum class Form { chatml, qwen25, qwen3, llama3 };
  struct Known;
  class Writer;
  ChatTemplate(std::string_view name, Form form) : name_(name), form_(form) {}
  static const std::vector<Known>& known();
  void write(std::span<const ChatMessage> messages, bool add_generation_prompt, Writer& out) const;
  void write_chatml(std::span<const ChatMessage> messages, Writer& out) const;
  void write_qwen(std::span<const ChatMessage> messages, Writer& out) const;
  void write_llama3(std::span<const ChatMessage> messages, Writer& out) const;

  std::string_view name_;
  Form form_;
  std::optional<std::string> system_;      // stands first when the first message is no system message
  bool always_prompts_ = false;            // writes the generation prompt unasked
  std::string bos_ = "<|begin_of_text|>";
};

// What a server uses: `name` where one is given, else what `jinja` (of the model file) is recognised as; nothing when both are
// empty. Errors: as above, and unsupported when the tokenizer lacks a marker of the template.
Result<std::optional<ChatTemplate>> choose_chat_template(std::string_view jinja, std::string_view name, const Tokenizer& tokenizer);

}  // namespace baton
