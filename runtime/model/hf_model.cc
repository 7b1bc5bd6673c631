// A Hugging Face directory to ModelParts.
#include <algorithm>
#include <set>
#include <utility>

#include "runtime/model/hf_files.h"
#include "runtime/model/json_keys.h"
#include "runtime/model/mapped_file.h"
#include "runtime/model/printable.h"
#include "runtime/model/safetensors_file.h"

namespace baton {
namespace {

constexpr std::size_t kMaxShards = 4096;
constexpr std::uint64_t kMaxConfigBytes = 1u << 20;
constexpr std::uint64_t kMaxIndexBytes = 64u << 20;
constexpr std::uint64_t kMaxTokenizerBytes = 256u << 20;

const TensorNames& hf_names() {
  static const TensorNames names{
      .embedding = "model.embed_tokens.weight", .output_norm = "model.norm.weight", .output = "lm_head.weight",
      .layer_prefix = "model.layers.", .attn_norm = "input_layernorm.weight", .q = "self_attn.q_proj.weight",
      .k = "self_attn.k_proj.weight", .v = "self_attn.v_proj.weight", .o = "self_attn.o_proj.weight",
      .ffn_norm = "post_attention_layernorm.weight", .gate = "mlp.gate_proj.weight", .up = "mlp.up_proj.weight",
      .down = "mlp.down_proj.weight", .q_bias = "self_attn.q_proj.bias", .k_bias = "self_attn.k_proj.bias",
      .v_bias = "self_attn.v_proj.bias", .q_norm = "self_attn.q_norm.weight", .k_norm = "self_attn.k_norm.weight",
      .ignored = {"rotary_emb.inv_freq"}};
  return names;
}

bool plain_file_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name[0] != '.' && name.ends_with(".safetensors") &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f && c != '/' && c != '\\'; });
}

// The files of a directory that is being read, with the first error.
class DirectoryReader {
 public:
  explicit DirectoryReader(std::string directory) { files_.directory = std::move(directory); }

  Result<ModelParts> run() {
    files_.config = text("config.json", kMaxConfigBytes, true);
    files_.generation_config = text("generation_config.json", kMaxConfigBytes, false);
    files_.tokenizer = text("tokenizer.json", kMaxTokenizerBytes, true);
    files_.tokenizer_config = text("tokenizer_config.json", kMaxTokenizerBytes, false);
    files_.chat_template = text("chat_template.jinja", kMaxConfigBytes, false);
    for (const std::string& name : shard_names()) map(name);
    if (error_) return *error_;
    auto parts = read_hf_model(files_);
    if (!parts) return parts.error();
    for (auto& file : mapped_) parts->owners.push_back(std::move(file));
    return parts;
  }

 private:
  std::string path(const std::string& name) const { return files_.directory + "/" + name; }

  std::string text(const std::string& name, std::uint64_t limit, bool required) {
    if (error_ || (!required && !file_exists(path(name)))) return "";
    auto content = read_small_file(path(name), limit);
    if (content) return std::move(*content);
    error_ = content.error();
    return "";
  }

  std::vector<std::string> shard_names() {
    if (error_) return {};
    const std::string index = "model.safetensors.index.json";
    if (file_exists(path(index))) {
      auto names = read_shard_index(text(index, kMaxIndexBytes, true), path(index));
      if (!error_ && !names) error_ = names.error();
      return names ? *names : std::vector<std::string>{};
    }
    if (file_exists(path("model.safetensors"))) return {"model.safetensors"};
    error_ = Error{ErrorCode::not_found, Scope::instance,
                   fmt::format("{}: neither model.safetensors nor {} is there; other weight files must be converted to safetensors",
                               files_.directory, index)};
    return {};
  }

  void map(const std::string& name) {
    if (error_) return;
    auto file = MappedFile::open(path(name));
    if (!file) return void(error_ = file.error());
    files_.shards.push_back({name, (*file)->bytes()});
    mapped_.push_back(std::move(*file));
  }

  HfFiles files_;
  std::vector<std::shared_ptr<const MappedFile>> mapped_;
  std::optional<Error> error_;
};

}  // namespace

Result<std::vector<std::string>> read_shard_index(std::string_view text, const std::string& file) {
  const auto invalid = [&](std::string message) { return Error{ErrorCode::invalid_file, Scope::instance, file + ": " + message}; };
  const auto index = parse_json_object(text, file);
  if (!index) return index.error();
  const auto map = index->find("weight_map");
  if (map == index->end() || !map->is_object() || map->empty()) {
    return invalid("key weight_map: expected an object of tensor and file names");
  }
  std::set<std::string> names;
  for (const auto& [tensor, value] : map->items()) {
    const auto* name = value.get_ptr<const std::string*>();
    if (name == nullptr || !plain_file_name(*name)) {
      return invalid("key weight_map: tensor " + printable(tensor) + " is not in a .safetensors file of this directory");
    }
    names.insert(*name);
    if (names.size() > kMaxShards) return invalid(fmt::format("key weight_map: more than {} files", kMaxShards));
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<ModelParts> read_hf_model(const HfFiles& files) {
  auto config = read_hf_config(files);
  if (!config) return config.error();
  ModelParts parts;
  TensorTable table(files.directory);
  for (const HfShard& shard : files.shards) {
    if (Status status = add_safetensors(shard.bytes, files.directory + "/" + shard.name, table, parts.owners); !status) {
      return status.error();
    }
  }
  auto tensors = table.take_all(config->spec, hf_names());
  if (!tensors) return tensors.error();
  auto vocabulary = read_hf_vocabulary(files, *config);
  if (!vocabulary) return vocabulary.error();
  auto chat_template = read_hf_chat_template(files);
  if (!chat_template) return chat_template.error();
  parts.spec = std::move(config->spec);
  parts.tensors = std::move(*tensors);
  parts.vocabulary = std::move(*vocabulary);
  parts.chat_template = std::move(*chat_template);
  return parts;
}

Result<ModelParts> read_hf_directory(const std::string& directory) { return DirectoryReader(directory).run(); }

}  // namespace baton
