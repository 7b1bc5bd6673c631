// A Hugging Face model directory, as texts and mapped shards; and what its parts are read into. Reading takes memory only, so
// that tests and the fuzzer use the same code as load_model.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/model/model_parts.h"

namespace baton {

struct HfShard {
  std::string name;
  std::span<const std::byte> bytes;   // must outlive the model
};

struct HfFiles {
  std::string directory;              // named in errors
  std::string config;                 // config.json
  std::string generation_config;      // the following four may be empty: no such file
  std::string tokenizer;              // tokenizer.json
  std::string tokenizer_config;
  std::string chat_template;          // chat_template.jinja
  std::vector<HfShard> shards;
};

struct HfConfig {
  ModelSpec spec;
  std::optional<TokenId> bos;
  std::vector<TokenId> eos;           // of config.json and generation_config.json
};

// LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM; anything else is refused by name.
Result<HfConfig> read_hf_config(const HfFiles& files);

// tokenizer.json for a model of config.spec.vocabulary tokens: byte-level BPE, or BPE over SentencePiece's pieces. Every
// component that the file names is either known or refused by name.
Result<VocabularySource> read_hf_vocabulary(const HfFiles& files, const HfConfig& config);
Result<std::string> read_hf_chat_template(const HfFiles& files);

Result<ModelParts> read_hf_model(const HfFiles& files);

// The shards that model.safetensors.index.json names, without repetition. A name must be that of a file in the same directory.
Result<std::vector<std::string>> read_shard_index(std::string_view text, const std::string& file);

// From the disk. Errors as load_model's.
Result<ModelParts> read_hf_directory(const std::string& directory);

}  // namespace baton
