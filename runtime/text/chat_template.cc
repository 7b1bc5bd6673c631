#include "runtime/text/chat_template.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>

#include "runtime/base/hash.h"
#include "runtime/text/jinja_outline.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/utf8.h"

namespace baton {
namespace {

constexpr std::string_view kTurn = "<|im_start|>";
constexpr std::string_view kEndOfTurn = "<|im_end|>";
constexpr std::string_view kHeader = "<|start_header_id|>";
constexpr std::string_view kEndOfHeader = "<|end_header_id|>";
constexpr std::string_view kEndOfText = "<|eot_id|>";

constexpr std::string_view kSmolLm2System = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
constexpr std::string_view kQwen2System = "You are a helpful assistant.";
constexpr std::string_view kQwen25System = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

// Programs as outline_of spells them. The short ones stand here; the long ones, whose branches on tool calls never run, by hash.
constexpr std::string_view kChatmlBegin = "for message in messages; ";
constexpr std::string_view kChatmlSystem =
    R"(if loop.first and messages[0].role != "system"; out "<|im_start|>system\n$SYSTEM<|im_end|>\n"; endif; )";
constexpr std::string_view kChatmlRest =
    R"(out "<|im_start|>" ~ message.role ~ "\n" ~ message.content ~ "<|im_end|>\n"; endfor; )"
    R"(if add_generation_prompt; out "<|im_start|>assistant\n"; endif)";
constexpr std::string_view kLlama3Begin =
    R"(set loop_messages = messages; for message in loop_messages; set content = "<|start_header_id|>" + message.role + )"
    R"("<|end_header_id|>\n\n" + message.content | trim + "<|eot_id|>"; if loop.index0 == 0; set content = bos_token + content; )"
    R"(endif; out content; endfor; )";
constexpr std::string_view kLlama3Prompt = R"(out "<|start_header_id|>assistant<|end_header_id|>\n\n")";
constexpr std::uint64_t kQwen25Program = 0x63fedcbc161166ce;
constexpr std::uint64_t kQwen3Programs[] = {0xa2028e5889b6f5af, 0xeb4df5329dd5bf15};

std::string_view without(std::string_view text, std::string_view what, bool front, bool back) {
  while (front && !text.empty() && what.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (back && !text.empty() && what.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

bool is_blank(char32_t c) {      // what Python's str.strip() removes
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string_view trimmed(std::string_view text) {
  std::size_t begin = text.size();
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    if (is_blank(next_code_point(text, at))) continue;
    begin = std::min(begin, start);
    end = at;
  }
  return end == 0 ? std::string_view() : text.substr(begin, end - begin);
}

Error unsupported(std::string message) { return Error{ErrorCode::unsupported, Scope::instance, std::move(message), "chat_template"}; }

}  // namespace

// What a template writes: markers, which become control tokens, and the text between them.
class ChatTemplate::Writer {
 public:
  struct Part {
    std::string text;
    bool marker;
  };
  Writer& marker(std::string_view spelling) {
    if (!spelling.empty()) parts_.push_back({std::string(spelling), true});
    return *this;
  }
  Writer& text(std::string_view text) {
    if (text.empty()) return *this;
    if (parts_.empty() || parts_.back().marker) parts_.push_back({"", false});
    parts_.back().text += text;
    return *this;
  }
  void chatml_turn(std::string_view role, std::string_view content) {
    marker(kTurn).text(role).text("\n").text(content).marker(kEndOfTurn).text("\n");
  }
  const std::vector<Part>& parts() const { return parts_; }

 private:
  std::vector<Part> parts_;
};

struct ChatTemplate::Known {
  std::string_view name;
  Form form;
  std::string_view system;
};

const std::vector<ChatTemplate::Known>& ChatTemplate::known() {
  static const std::vector<Known> table = {
      {"chatml", Form::chatml, ""},
      {"smollm2", Form::chatml, kSmolLm2System},
      {"qwen2", Form::chatml, kQwen2System},
      {"qwen2.5", Form::qwen25, kQwen25System},
      {"qwen3", Form::qwen3, ""},
      {"llama3", Form::llama3, ""},
  };
  return table;
}

std::vector<std::string_view> ChatTemplate::names() {
  std::vector<std::string_view> names;
  for (const Known& entry : known()) names.push_back(entry.name);
  return names;
}

Result<ChatTemplate> ChatTemplate::named(std::string_view name) {
  for (const Known& entry : known()) {
    if (entry.name != name) continue;
    ChatTemplate chosen(entry.name, entry.form);
    if (!entry.system.empty()) chosen.system_ = entry.system;
    return chosen;
  }
  return unsupported(fmt::format("there is no chat template \"{}\"; --chat-template takes {}", name, fmt::join(names(), ", ")));
}

Result<ChatTemplate> ChatTemplate::recognised(std::string_view jinja) {
  const auto outline = outline_of(jinja);
  if (outline) {
    const std::string& program = outline->program;
    const auto is = [&](std::initializer_list<std::string_view> parts) { return program == fmt::format("{}", fmt::join(parts, "")); };
    if (is({kChatmlBegin, kChatmlRest})) return ChatTemplate("chatml", Form::chatml);
    if (is({kChatmlBegin, kChatmlSystem, kChatmlRest})) {
      const std::string_view name = outline->system == kSmolLm2System ? "smollm2" : outline->system == kQwen2System ? "qwen2" : "chatml";
      ChatTemplate found(name, Form::chatml);
      found.system_ = outline->system;
      return found;
    }
    if (is({kLlama3Begin, "if add_generation_prompt; ", kLlama3Prompt, "; endif"})) return ChatTemplate("llama3", Form::llama3);
    if (is({kLlama3Begin, kLlama3Prompt})) {
      ChatTemplate found("llama3", Form::llama3);
      found.always_prompts_ = true;
      return found;
    }
    const std::uint64_t hash = hash64(program);
    if (hash == kQwen25Program) {
      ChatTemplate found("qwen2.5", Form::qwen25);
      found.system_ = outline->system;
      return found;
    }
    if (std::find(std::begin(kQwen3Programs), std::end(kQwen3Programs), hash) != std::end(kQwen3Programs)) {
      return ChatTemplate("qwen3", Form::qwen3);
    }
  }
  return unsupported(fmt::format("the model file's chat template is none that is known here, and a similar one might forge or drop turns; "
                                 "choose one with --chat-template: {}", fmt::join(names(), ", ")));
}

void ChatTemplate::write_chatml(std::span<const ChatMessage> messages, Writer& out) const {
  if (system_ && !messages.empty() && messages.front().role != "system") out.chatml_turn("system", *system_);
  for (const ChatMessage& message : messages) out.chatml_turn(message.role, message.content);
}

// Qwen 2.5 and 3: the system message first; results of tools in a row share a user's turn; other roles are left out, as their
// templates do. Qwen 3 drops an assistant's thoughts from before the last question, and shows the place of those after it.
void ChatTemplate::write_qwen(std::span<const ChatMessage> messages, Writer& out) const {
  const std::size_t count = messages.size();
  if (count > 0 && messages[0].role == "system") out.chatml_turn("system", messages[0].content);
  else if (system_) out.chatml_turn("system", *system_);
  std::size_t last_question = count == 0 ? 0 : count - 1;
  for (std::size_t i = count; i-- > 0;) {
    const std::string_view content = messages[i].content;
    if (messages[i].role != "user" || (content.starts_with("<tool_response>") && content.ends_with("</tool_response>"))) continue;
    last_question = i;
    break;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [role, content] = messages[i];
    if (role == "user" || (role == "system" && i > 0) || (role == "assistant" && form_ == Form::qwen25)) {
      out.chatml_turn(role, content);
    } else if (role == "assistant") {
      std::string_view answer = content;
      std::string_view thought;
      if (const std::size_t end = content.rfind("</think>"); end != std::string::npos) {
        answer = without(answer.substr(end + 8), "\n", true, false);
        thought = without(std::string_view(content).substr(0, content.find("</think>")), "\n", false, true);
        if (const std::size_t begin = thought.rfind("<think>"); begin != std::string_view::npos) thought.remove_prefix(begin + 7);
        thought = without(thought, "\n", true, false);
      }
      out.marker(kTurn).text(role).text("\n");
      if (i > last_question && (i + 1 == count || !thought.empty())) {
        out.text("<think>\n").text(without(thought, "\n", true, true)).text("\n</think>\n\n").text(without(answer, "\n", true, false));
      } else {
        out.text(answer);
      }
      out.marker(kEndOfTurn).text("\n");
    } else if (role == "tool") {
      if (i == 0 || messages[i - 1].role != "tool") out.marker(kTurn).text("user");
      out.text("\n<tool_response>\n").text(content).text("\n</tool_response>");
      if (i + 1 == count || messages[i + 1].role != "tool") out.marker(kEndOfTurn).text("\n");
    }
  }
}

void ChatTemplate::write_llama3(std::span<const ChatMessage> messages, Writer& out) const {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i == 0) out.marker(bos_);
    out.marker(kHeader).text(messages[i].role).marker(kEndOfHeader).text("\n\n").text(trimmed(messages[i].content)).marker(kEndOfText);
  }
}

void ChatTemplate::write(std::span<const ChatMessage> messages, bool add_generation_prompt, Writer& out) const {
  switch (form_) {
    case Form::chatml: write_chatml(messages, out); break;
    case Form::qwen25: case Form::qwen3: write_qwen(messages, out); break;
    case Form::llama3: write_llama3(messages, out); break;
  }
  if (!add_generation_prompt && !always_prompts_) return;
  if (form_ == Form::llama3) out.marker(kHeader).text("assistant").marker(kEndOfHeader).text("\n\n");
  else out.marker(kTurn).text("assistant\n");
}

std::string ChatTemplate::render_text(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
  Writer out;
  write(messages, add_generation_prompt, out);
  std::string text;
  for (const auto& part : out.parts()) text += part.text;
  return text;
}

std::vector<TokenId> ChatTemplate::render(std::span<const ChatMessage> messages, bool add_generation_prompt,
                                          const Tokenizer& tokenizer) const {
  Writer out;
  write(messages, add_generation_prompt, out);
  std::vector<TokenId> tokens;
  for (const auto& part : out.parts()) {
    if (const auto control = part.marker ? tokenizer.special(part.text) : std::nullopt) {
      tokens.push_back(*control);
      continue;
    }
    const auto run = tokenizer.encode(part.text, {.goes_on = !tokens.empty()});
    tokens.insert(tokens.end(), run.begin(), run.end());
  }
  return tokens;
}

std::vector<std::string> ChatTemplate::markers() const {
  std::vector<std::string> spellings;
  if (form_ == Form::llama3) spellings.assign({std::string(kHeader), std::string(kEndOfHeader), std::string(kEndOfText)});
  else spellings.assign({std::string(kTurn), std::string(kEndOfTurn)});
  return spellings;
}

Result<std::optional<ChatTemplate>> choose_chat_template(std::string_view jinja, std::string_view name, const Tokenizer& tokenizer) {
  if (jinja.empty() && name.empty()) return std::optional<ChatTemplate>();
  auto chosen = name.empty() ? ChatTemplate::recognised(jinja) : ChatTemplate::named(name);
  if (!chosen) return chosen.error();
  for (const std::string& marker : chosen->markers()) {
    if (!tokenizer.special(marker)) {
      return unsupported(fmt::format("the chat template {} needs the control token {}, which the model's vocabulary lacks; "
                                     "--chat-template takes {}", chosen->name(), marker, fmt::join(ChatTemplate::names(), ", ")));
    }
  }
  const auto bos = tokenizer.bos();
  chosen->set_bos(bos ? tokenizer.bytes_of(*bos, true).value_or("") : "");
  return std::optional<ChatTemplate>(std::move(chosen).value());
}

}  // namespace baton
