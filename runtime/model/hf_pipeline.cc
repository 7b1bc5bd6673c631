#include "runtime/model/hf_pipeline.h"

#include "runtime/model/json_keys.h"
#include "runtime/model/printable.h"

namespace baton {
namespace {

using Split = VocabularySource::Split;
using PrefixSpace = VocabularySource::PrefixSpace;
using nlohmann::json;

constexpr std::string_view kBlankMark = "\xe2\x96\x81";   // U+2581
constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxParts = 64;

class PipelineReader {
 public:
  PipelineReader(const json& tokenizer, const std::string& file) : top_(tokenizer, file), file_(file) {}

  Result<HfPipeline> run() {
    visit("normalizer", "normalizers", &PipelineReader::normalizer);
    visit("pre_tokenizer", "pretokenizers", &PipelineReader::pre_tokenizer);
    visit("decoder", "decoders", &PipelineReader::decoder);
    visit("post_processor", "processors", &PipelineReader::post_processor);
    if (!error_ && out_.byte_level == out_.blank_marks) {
      fail(ErrorCode::unsupported, "pre_tokenizer", "neither ByteLevel nor Metaspace; supported: byte-level or SentencePiece-style BPE");
    }
    if (out_.byte_level && out_.prepend_space) unknown("normalizer", "Prepend with ByteLevel", "Prepend of U+2581 with Replace");
    if (error_) return *error_;
    // No pass at all means the text as one piece, which is not what an absent list stands for (see VocabularySource).
    if (out_.byte_level && out_.splits.empty()) out_.splits.push_back({Split::Kind::regex, R"([\s\S]+)", false});
    return std::move(out_);
  }

 private:
  using Visitor = void (PipelineReader::*)(const std::string& type, JsonKeys& part);

  void fail(ErrorCode code, std::string_view key, std::string_view message) {
    if (!error_) error_ = Error{code, Scope::instance, fmt::format("{}: key {}: {}", file_, key, message)};
  }
  void unknown(std::string_view role, std::string_view type, std::string_view supported) {
    fail(ErrorCode::unsupported, role, fmt::format("{} is not supported; supported: {}", type, supported));
  }

  void visit(const char* role, const char* list, Visitor visitor) {
    if (const json* part = top_.find(role)) visit_part(*part, role, list, visitor, 0);
  }

  // A Sequence holds further parts, in order, under `list`.
  void visit_part(const json& part, const char* role, const char* list, Visitor visitor, int depth) {
    JsonKeys keys(part, file_, std::string(role) + ".");
    const std::string type = keys.string("type");
    if (!keys.error() && type == "Sequence") {
      const json* parts = keys.find(list);
      if (parts == nullptr || !parts->is_array() || parts->size() > kMaxParts || depth == kMaxDepth) {
        return fail(ErrorCode::invalid_file, role, fmt::format("a Sequence without a list {} of up to {}", list, kMaxParts));
      }
      for (const json& inner : *parts) visit_part(inner, role, list, visitor, depth + 1);
      return;
    }
    if (!keys.error()) (this->*visitor)(type, keys);
    if (keys.error() && !error_) error_ = keys.error();
  }

  // {"String": "x"} or {"Regex": "x"}.
  static std::string pattern(const JsonKeys& part, const char* kind) {
    const json* found = part.find("pattern");
    if (found == nullptr || !found->is_object()) return "";
    const auto entry = found->find(kind);
    const auto* text = entry == found->end() ? nullptr : entry->get_ptr<const std::string*>();
    return text ? *text : "";
  }

  void normalizer(const std::string& type, JsonKeys& part) {
    if (type == "NFC") {
      out_.nfc = true;
    } else if (type == "Prepend" && part.string("prepend", "") == kBlankMark) {
      out_.prepend_space = true;
    } else if (type == "Replace" && pattern(part, "String") == " " && part.string("content", "") == kBlankMark) {
      out_.blank_marks = out_.marks_spaces = true;
    } else {
      unknown("normalizer", type, "NFC; Prepend and Replace of a blank by U+2581");
    }
  }

  void pre_tokenizer(const std::string& type, JsonKeys& part) {
    if (type == "ByteLevel") {
      out_.byte_level = true;
      if (part.boolean("add_prefix_space", true)) {
        if (!out_.splits.empty()) return unknown("pre_tokenizer", "ByteLevel with add_prefix_space after another", "it alone");
        out_.prefix_space = PrefixSpace::always;
      }
      if (part.boolean("use_regex", true)) out_.splits.push_back({Split::Kind::byte_level_gpt2, "", false});
    } else if (type == "Digits") {
      out_.splits.push_back({Split::Kind::digits, "", part.boolean("individual_digits", false)});
    } else if (type == "Split") {
      split(part);
    } else if (type == "Metaspace") {
      if (part.string("replacement", std::string(kBlankMark)) != kBlankMark) {
        return unknown("pre_tokenizer", "Metaspace with another replacement", "U+2581");
      }
      out_.blank_marks = true;
      out_.split_at_spaces = part.boolean("split", true);
      const std::string scheme = part.string("prepend_scheme", part.boolean("add_prefix_space", true) ? "always" : "never");
      if (scheme != "never" && scheme != "first" && scheme != "always") {
        return unknown("pre_tokenizer", "Metaspace with prepend_scheme " + printable(scheme), "never, first, always");
      }
      out_.prefix_space = scheme == "always" ? PrefixSpace::always : scheme == "first" ? PrefixSpace::first : PrefixSpace::never;
    } else {
      unknown("pre_tokenizer", type, "Sequence, Split, Digits, ByteLevel, Metaspace");
    }
  }

  // Matches become pieces, and so does what lies between them. "Removed" with invert keeps the matches alone: the same wherever
  // the pattern covers every text, which is what it is used for.
  void split(JsonKeys& part) {
    const std::string regex = pattern(part, "Regex");
    const std::string behavior = part.string("behavior", "");
    const bool invert = part.boolean("invert", false);
    const bool isolates = (behavior == "Isolated" && !invert) || (behavior == "Removed" && invert);
    if (regex.empty() || !isolates) {
      return unknown("pre_tokenizer", fmt::format("Split with behavior {}{} {}", behavior, invert ? " inverted" : "",
                                                  regex.empty() ? "and no Regex" : ""),
                     "a Regex, with behavior Isolated");
    }
    out_.splits.push_back({Split::Kind::regex, regex, false});
  }

  void decoder(const std::string& type, JsonKeys& part) {
    const bool blank = type == "Replace" && pattern(part, "String") == kBlankMark && part.string("content", "") == " ";
    if (type == "ByteLevel" || type == "ByteFallback" || type == "Fuse" || type == "Strip" || type == "Metaspace" || blank) return;
    unknown("decoder", type, "ByteLevel; Replace of U+2581 by a blank, ByteFallback, Fuse, Strip, Metaspace");
  }

  void post_processor(const std::string& type, JsonKeys& part) {
    if (type == "ByteLevel") return;   // moves offsets, not tokens
    if (type != "TemplateProcessing") return unknown("post_processor", type, "ByteLevel, TemplateProcessing");
    const json* single = part.find("single");
    if (single == nullptr || !single->is_array() || single->size() > kMaxParts) {
      return fail(ErrorCode::invalid_file, "post_processor", "TemplateProcessing without a list single");
    }
    out_.has_template = true;
    bool text_seen = false;
    for (const json& entry : *single) {
      JsonKeys keys(entry, file_, "post_processor.single.");
      if (keys.has("Sequence")) {
        text_seen = true;
        continue;
      }
      const json* special = keys.find("SpecialToken");
      static const json kNothing;
      JsonKeys token(special ? *special : kNothing, file_, "post_processor.single.SpecialToken.");
      (text_seen ? out_.after : out_.before).push_back(token.string("id"));
      if (token.error()) return fail(ErrorCode::invalid_file, "post_processor", "an entry of single that is no token");
    }
  }

  JsonKeys top_;
  std::string file_;
  HfPipeline out_;
  std::optional<Error> error_;
};

}  // namespace

Result<HfPipeline> read_hf_pipeline(const json& tokenizer, const std::string& file) { return PipelineReader(tokenizer, file).run(); }

}  // namespace baton
