// tokenizer.json and tokenizer_config.json to VocabularySource.
#include <algorithm>
#include <limits>
#include <unordered_map>

#include "runtime/model/hf_files.h"
#include "runtime/model/hf_pipeline.h"
#include "runtime/model/json_keys.h"
#include "runtime/model/printable.h"

namespace baton {
namespace {

using nlohmann::json;
using TokenKind = VocabularySource::TokenKind;

class HfVocabularyReader {
 public:
  HfVocabularyReader(const HfFiles& files, const HfConfig& config, const json& tokenizer, const json& tokenizer_config)
      : file_(files.directory + "/tokenizer.json"),
        config_(config),
        tokenizer_(tokenizer, file_),
        tokenizer_config_(tokenizer_config, files.directory + "/tokenizer_config.json"),
        model_(tokenizer_.find("model") ? *tokenizer_.find("model") : kNothing, file_, "model."),
        top_(tokenizer) {}

  Result<VocabularySource> run() {
    const auto pipeline = check_model() ? read_hf_pipeline(top_, file_) : Result<HfPipeline>(Error{});
    if (error_) return *error_;
    if (!pipeline) return pipeline.error();
    out_.kind = pipeline->blank_marks ? VocabularySource::Kind::sentencepiece : VocabularySource::Kind::byte_level_bpe;
    out_.splits = pipeline->splits;
    out_.prepend_space = pipeline->prepend_space;
    out_.marks_spaces = pipeline->marks_spaces;
    out_.prefix_space = pipeline->prefix_space;
    out_.split_at_spaces = pipeline->split_at_spaces;
    out_.nfc = pipeline->nfc;
    out_.ignore_merges = model_.boolean("ignore_merges", false);
    read_pieces();
    read_merges();
    read_added_tokens();
    if (!error_ && out_.kind == VocabularySource::Kind::sentencepiece) check_merges();
    if (!error_) read_special_tokens(*pipeline);
    if (model_.error()) return *model_.error();
    if (tokenizer_config_.error()) return *tokenizer_config_.error();
    if (error_) return *error_;
    return std::move(out_);
  }

 private:
  inline static const json kNothing;

  template <class... Args>
  void invalid(fmt::format_string<Args...> format, Args&&... args) {
    if (error_) return;
    error_ = Error{ErrorCode::invalid_file, Scope::instance,
                   fmt::format("{}: {}", file_, fmt::format(format, std::forward<Args>(args)...))};
  }

  bool check_model() {
    const std::string type = model_.string("type", "BPE");   // older files leave it out
    if (type != "BPE") model_.fail(ErrorCode::unsupported, "type", fmt::format("{} is not supported; supported: BPE", type));
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const std::string text = model_.string(affix, "");
      if (!text.empty()) model_.fail(ErrorCode::unsupported, affix, fmt::format("{} is not supported; supported: none", text));
    }
    if (model_.error()) error_ = model_.error();
    return !error_;
  }

  void read_pieces() {
    const json* vocabulary = model_.find("vocab");
    if (vocabulary == nullptr || !vocabulary->is_object()) return invalid("key model.vocab: expected an object of pieces and ids");
    const bool spells_bytes = out_.kind == VocabularySource::Kind::sentencepiece && model_.boolean("byte_fallback", false);
    out_.pieces.resize(config_.spec.vocabulary);
    out_.kinds.assign(config_.spec.vocabulary, TokenKind::unused);
    for (const auto& [piece, value] : vocabulary->items()) {
      const auto id = as_unsigned(value);
      if (!id || *id >= out_.pieces.size()) {
        return invalid("key model.vocab: piece {} has no id below the model's vocab_size, {}", printable(piece), out_.pieces.size());
      }
      if (out_.kinds[*id] != TokenKind::unused) return invalid("key model.vocab: two pieces have id {}", *id);
      out_.pieces[*id] = piece;
      out_.kinds[*id] = spells_bytes && is_byte(piece) ? TokenKind::byte : TokenKind::normal;
      ids_.emplace(piece, static_cast<TokenId>(*id));
    }
  }

  static bool is_byte(std::string_view piece) {   // <0x0A>
    return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>') &&
           piece.substr(3, 2).find_first_not_of("0123456789ABCDEFabcdef") == std::string_view::npos;
  }

  // "a b", or ["a", "b"] in newer files.
  void read_merges() {
    const json* merges = model_.find("merges");
    if (merges == nullptr || !merges->is_array()) return invalid("key model.merges: expected a list");
    out_.merges.reserve(merges->size());
    for (const json& merge : *merges) {
      if (error_) return;
      const std::size_t rank = out_.merges.size();
      if (const auto* text = merge.get_ptr<const std::string*>()) {
        const std::size_t space = text->find(' ', 1);
        if (space == std::string::npos || space + 1 == text->size()) {
          return invalid("key model.merges: merge {} is not two pieces", rank);
        }
        out_.merges.emplace_back(text->substr(0, space), text->substr(space + 1));
        continue;
      }
      const bool pair = merge.is_array() && merge.size() == 2;
      const auto* left = pair ? merge[0].get_ptr<const std::string*>() : nullptr;
      const auto* right = pair ? merge[1].get_ptr<const std::string*>() : nullptr;
      if (left == nullptr || right == nullptr || left->empty() || right->empty()) {
        return invalid("key model.merges: merge {} is not two pieces", rank);
      }
      out_.merges.emplace_back(*left, *right);
    }
  }

  // They win over the vocabulary's own entry. One that lies beyond the model's table can never be computed and is left out.
  void read_added_tokens() {
    const json* added = tokenizer_.find("added_tokens");
    if (added == nullptr || error_) return;
    if (!added->is_array()) return invalid("key added_tokens: expected a list");
    for (const json& entry : *added) {
      JsonKeys keys(entry, file_, "added_tokens.");
      const std::uint64_t id = keys.integer("id", 0, std::numeric_limits<std::int32_t>::max());
      const std::string content = keys.string("content");
      const bool special = keys.boolean("special", false);
      const VocabularySource::AddedToken how{static_cast<TokenId>(id), keys.boolean("lstrip", false), keys.boolean("rstrip", false),
                                             keys.boolean("normalized", false)};
      if (keys.boolean("single_word", false)) keys.fail(ErrorCode::unsupported, "single_word", "true is not supported; supported: false");
      if (keys.error()) return void(error_ = keys.error());
      if (content.empty()) return invalid("key added_tokens: token {} has no content", id);
      if (id >= out_.pieces.size()) continue;
      if (out_.kinds[id] != TokenKind::unused && out_.pieces[id] != content) {
        return invalid("key added_tokens: token {} has another content than in model.vocab", id);
      }
      out_.pieces[id] = content;
      out_.kinds[id] = special ? TokenKind::control : TokenKind::user_defined;
      ids_.emplace(content, static_cast<TokenId>(id));
      if (how.strip_left || how.strip_right || how.normalized) out_.added.push_back(how);
    }
  }

  void check_merges() {
    if (out_.ignore_merges) return model_.fail(ErrorCode::unsupported, "ignore_merges", "true is not supported with U+2581 for a blank");
    if (out_.merges.empty()) return invalid("key model.merges: there are none");
    for (std::size_t rank = 0; rank < out_.merges.size(); ++rank) {
      const auto& [left, right] = out_.merges[rank];
      for (const std::string& piece : {left, right, left + right}) {
        if (!ids_.contains(piece)) return invalid("key model.merges: merge {} needs {}, which model.vocab lacks", rank, printable(piece));
      }
    }
  }

  std::optional<TokenId> id_of(const std::string& piece) const {
    const auto found = ids_.find(piece);
    if (found == ids_.end()) return std::nullopt;
    return found->second;
  }

  // "<s>" or {"content": "<s>", ...}
  std::optional<TokenId> named_token(const char* key) const {
    const json* value = tokenizer_config_.find(key);
    if (value != nullptr && value->is_object()) {
      const auto content = value->find("content");
      value = content == value->end() ? nullptr : &*content;
    }
    const auto* text = value ? value->get_ptr<const std::string*>() : nullptr;
    return text ? id_of(*text) : std::nullopt;
  }

  void read_special_tokens(const HfPipeline& pipeline) {
    const std::string unknown = model_.string("unk_token", "");
    out_.unknown = unknown.empty() ? named_token("unk_token") : id_of(unknown);
    out_.bos = named_token("bos_token");
    if (!out_.bos) out_.bos = config_.bos;
    out_.eos = config_.eos;
    const auto eos = named_token("eos_token");
    if (eos && std::find(out_.eos.begin(), out_.eos.end(), *eos) == out_.eos.end()) out_.eos.push_back(*eos);
    if (pipeline.has_template) {
      add_bos_and_eos(pipeline);
    } else if (tokenizer_config_.string("tokenizer_class", "").starts_with("Llama")) {
      out_.add_bos = out_.bos && tokenizer_config_.boolean("add_bos_token", true);
      out_.add_eos = eos && tokenizer_config_.boolean("add_eos_token", false);
    }
    if (out_.kind == VocabularySource::Kind::sentencepiece && out_.unknown && out_.kinds[*out_.unknown] != TokenKind::unused) {
      out_.kinds[*out_.unknown] = TokenKind::unknown;
    }
    add_known_end_tokens(out_);
  }

  void add_bos_and_eos(const HfPipeline& pipeline) {
    if (pipeline.before.size() > 1 || pipeline.after.size() > 1) {
      return invalid("key post_processor: more than one token around a text is not supported; supported: one before, one after");
    }
    if (!pipeline.before.empty()) {
      const auto token = id_of(pipeline.before[0]);
      if (!token) return invalid("key post_processor: {} is not in the vocabulary", printable(pipeline.before[0]));
      out_.bos = token;
      out_.add_bos = true;
    }
    if (!pipeline.after.empty()) {
      const auto token = id_of(pipeline.after[0]);
      if (!token) return invalid("key post_processor: {} is not in the vocabulary", printable(pipeline.after[0]));
      out_.add_eos = true;
      std::erase(out_.eos, *token);
      out_.eos.insert(out_.eos.begin(), *token);   // the one to add is the first
    }
  }

  std::string file_;
  const HfConfig& config_;
  JsonKeys tokenizer_;
  JsonKeys tokenizer_config_;
  JsonKeys model_;
  const json& top_;
  std::unordered_map<std::string, TokenId> ids_;
  VocabularySource out_;
  std::optional<Error> error_;
};

}  // namespace

Result<VocabularySource> read_hf_vocabulary(const HfFiles& files, const HfConfig& config) {
  const auto tokenizer = parse_json_object(files.tokenizer, files.directory + "/tokenizer.json");
  if (!tokenizer) return tokenizer.error();
  const std::string_view text = files.tokenizer_config.empty() ? std::string_view("{}") : files.tokenizer_config;
  const auto tokenizer_config = parse_json_object(text, files.directory + "/tokenizer_config.json");
  if (!tokenizer_config) return tokenizer_config.error();
  return HfVocabularyReader(files, config, *tokenizer, *tokenizer_config).run();
}

Result<std::string> read_hf_chat_template(const HfFiles& files) {
  if (!files.chat_template.empty()) return files.chat_template;
  if (files.tokenizer_config.empty()) return std::string();
  const auto config = parse_json_object(files.tokenizer_config, files.directory + "/tokenizer_config.json");
  if (!config) return config.error();
  const auto found = config->find("chat_template");
  if (found == config->end()) return std::string();
  if (const auto* text = found->get_ptr<const std::string*>()) return *text;
  if (!found->is_array()) return std::string();
  for (const json& entry : *found) {   // [{"name": "default", "template": ...}, {"name": "tool_use", ...}]
    JsonKeys keys(entry, files.directory + "/tokenizer_config.json", "chat_template.");
    if (keys.string("name", "") == "default") return keys.string("template", "");
  }
  return std::string();
}

}  // namespace baton
