// config.json and generation_config.json to hyper-parameters.
#include <algorithm>
#include <filesystem>
#include <limits>

#include "runtime/model/hf_files.h"
#include "runtime/model/json_keys.h"

namespace baton {
namespace {

constexpr std::uint64_t kMaxConfigSize = 1u << 24;
constexpr std::size_t kMaxEnds = 64;
constexpr std::uint64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();

class ConfigReader {
 public:
  ConfigReader(const HfFiles& files, const nlohmann::json& config) : files_(files), keys_(config, files.directory + "/config.json") {}

  Result<HfConfig> run() {
    read_architecture();
    if (keys_.error()) return *keys_.error();
    read_sizes();
    read_rope();
    if (rope_error_) return *rope_error_;
    refuse_what_is_not_computed();
    read_ends(keys_);
    if (keys_.error()) return *keys_.error();
    if (files_.generation_config.empty()) return std::move(out_);
    const std::string file = files_.directory + "/generation_config.json";
    const auto generation = parse_json_object(files_.generation_config, file);
    if (!generation) return generation.error();
    JsonKeys keys(*generation, file);
    read_ends(keys);
    if (keys.error()) return *keys.error();
    return std::move(out_);
  }

 private:
  void unsupported(std::string_view key, std::string_view message) { keys_.fail(ErrorCode::unsupported, key, message); }

  void read_architecture() {
    const nlohmann::json* list = keys_.find("architectures");
    const std::string* name = list && list->is_array() && !list->empty() ? (*list)[0].get_ptr<const std::string*>() : nullptr;
    if (name == nullptr) return keys_.fail(ErrorCode::invalid_file, "architectures", "expected a list with one name");
    if (*name == "LlamaForCausalLM" || *name == "MistralForCausalLM") {
      out_.spec.architecture = "llama";
    } else if (*name == "Qwen2ForCausalLM") {
      out_.spec.architecture = "qwen2";
    } else if (*name == "Qwen3ForCausalLM") {
      out_.spec.architecture = "qwen3";
    } else {
      unsupported("architectures", fmt::format("{} is not supported; supported: LlamaForCausalLM, MistralForCausalLM, "
                                               "Qwen2ForCausalLM, Qwen3ForCausalLM", *name));
    }
    mistral_ = *name == "MistralForCausalLM";
  }

  void read_sizes() {
    ModelSpec& spec = out_.spec;
    const std::filesystem::path path(files_.directory);
    spec.name = (path.has_filename() ? path : path.parent_path()).filename().string();
    spec.layers = keys_.integer("num_hidden_layers", 1, 4096);
    spec.embedding = keys_.integer("hidden_size", 1, kMaxConfigSize);
    spec.feed_forward = keys_.integer("intermediate_size", 1, kMaxConfigSize);
    spec.heads = keys_.integer("num_attention_heads", 1, 65536);
    // What the classes take when the file says nothing. A null is an answer: as many heads as others, no window.
    const std::uint64_t mistral_kv_heads = 8, qwen3_head = 128, window = 4096;
    const bool few_kv_heads = mistral_ && !keys_.is_null("num_key_value_heads");
    spec.kv_heads = keys_.integer("num_key_value_heads", 1, 65536, few_kv_heads ? mistral_kv_heads : spec.heads);
    spec.head_dim = keys_.integer("head_dim", 2, 65536, spec.architecture == "qwen3" ? qwen3_head : spec.embedding / spec.heads);
    spec.vocabulary = keys_.integer("vocab_size", 1, kMaxConfigSize);
    spec.context = keys_.integer("max_position_embeddings", 1, kMaxTokens);
    spec.norm_epsilon = static_cast<float>(keys_.real("rms_norm_eps", 1e-12, 0.1, 1e-6));
    spec.tied = keys_.boolean("tie_word_embeddings", false);
    if (mistral_ || keys_.boolean("use_sliding_window", false)) {
      spec.sliding_window = keys_.integer("sliding_window", 0, kMaxTokens, keys_.is_null("sliding_window") ? 0 : window);
    }
  }

  // Newer files hold everything in rope_parameters; older ones rope_theta beside an optional rope_scaling.
  void read_rope() {
    ModelSpec& spec = out_.spec;
    spec.rope_pairing = RopePairing::half;
    const char* group = keys_.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
    static const nlohmann::json kNothing;
    const nlohmann::json* found = keys_.find(group);
    JsonKeys rope(found ? *found : kNothing, files_.directory + "/config.json", std::string(group) + ".");
    spec.rope_base = rope.real("rope_theta", 1.0, 1e12, keys_.real("rope_theta", 1.0, 1e12, 10000.0));
    const double part = rope.real("partial_rotary_factor", 0.0, 1.0, keys_.real("partial_rotary_factor", 0.0, 1.0, 1.0));
    spec.rope_dim = static_cast<std::uint32_t>(spec.head_dim * part);
    const std::string kind = rope.string("rope_type", rope.string("type", "default"));
    RopeScaling& scaling = spec.rope_scaling;
    if (kind == "linear") {
      scaling.kind = RopeScaling::Kind::linear;
      scaling.factor = static_cast<float>(rope.real("factor", 1e-3, 1e6));
    } else if (kind == "llama3") {
      scaling.kind = RopeScaling::Kind::llama3;
      scaling.factor = static_cast<float>(rope.real("factor", 1e-3, 1e6));
      scaling.low_freq_factor = static_cast<float>(rope.real("low_freq_factor", 1e-3, 1e6));
      scaling.high_freq_factor = static_cast<float>(rope.real("high_freq_factor", 1e-3, 1e6));
      scaling.original_context = rope.integer("original_max_position_embeddings", 1, kMaxTokens);
      if (!rope.error() && scaling.high_freq_factor <= scaling.low_freq_factor) {
        rope.fail(ErrorCode::invalid_file, "high_freq_factor", "expected more than low_freq_factor");
      }
    } else if (kind != "default") {
      rope.fail(ErrorCode::unsupported, "rope_type", fmt::format("{} is not supported; supported: default, linear, llama3", kind));
    }
    if (rope.error()) rope_error_ = rope.error();
  }

  void refuse_what_is_not_computed() {
    const std::string activation = keys_.string("hidden_act", "silu");
    if (activation != "silu") unsupported("hidden_act", fmt::format("{} is not supported; supported: silu", activation));
    if (keys_.has("quantization_config")) {
      unsupported("quantization_config", "quantised safetensors are not supported; supported: F32, F16, BF16 (or a GGUF file)");
    }
    if (keys_.boolean("mlp_bias", false)) unsupported("mlp_bias", "a bias in the feed-forward layers is not supported");
  }

  void read_ends(JsonKeys& keys) {
    const auto read = [&](const char* key, const nlohmann::json& value) -> std::optional<TokenId> {
      const auto id = as_unsigned(value);
      if (id && *id < out_.spec.vocabulary) return static_cast<TokenId>(*id);
      keys.fail(ErrorCode::invalid_file, key, fmt::format("expected a token id below {}", out_.spec.vocabulary));
      return std::nullopt;
    };
    if (const nlohmann::json* bos = keys.find("bos_token_id"); bos && !out_.bos) out_.bos = read("bos_token_id", *bos);
    const nlohmann::json* eos = keys.find("eos_token_id");
    if (eos == nullptr) return;
    const auto add = [&](const nlohmann::json& value) {
      const auto id = read("eos_token_id", value);
      if (id && std::find(out_.eos.begin(), out_.eos.end(), *id) == out_.eos.end()) out_.eos.push_back(*id);
    };
    if (!eos->is_array()) return add(*eos);
    if (eos->size() > kMaxEnds) {
      return keys.fail(ErrorCode::invalid_file, "eos_token_id", fmt::format("{} tokens, expected at most {}", eos->size(), kMaxEnds));
    }
    for (const auto& value : *eos) add(value);
  }

  const HfFiles& files_;
  JsonKeys keys_;
  std::optional<Error> rope_error_;
  HfConfig out_;
  bool mistral_ = false;
};

}  // namespace

Result<HfConfig> read_hf_config(const HfFiles& files) {
  const auto config = parse_json_object(files.config, files.directory + "/config.json");
  if (!config) return config.error();
  auto out = ConfigReader(files, *config).run();
  if (!out) return out.error();
  if (Status status = check_spec(out->spec, files.directory + "/config.json"); !status) return status.error();
  return out;
}

}  // namespace baton
