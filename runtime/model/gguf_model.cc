// GGUF metadata and tensors to ModelParts, for the architectures llama, qwen2 and qwen3.
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "runtime/model/byte_reader.h"
#include "runtime/model/gguf_keys.h"
#include "runtime/model/model_parts.h"

namespace baton {
namespace {

constexpr std::uint64_t kMaxSize = 1u << 24;   // of any dimension; check_spec narrows it

const TensorNames& gguf_names() {
  static const TensorNames names{
      .embedding = "token_embd.weight", .output_norm = "output_norm.weight", .output = "output.weight", .layer_prefix = "blk.",
      .attn_norm = "attn_norm.weight", .q = "attn_q.weight", .k = "attn_k.weight", .v = "attn_v.weight",
      .o = "attn_output.weight", .ffn_norm = "ffn_norm.weight", .gate = "ffn_gate.weight", .up = "ffn_up.weight",
      .down = "ffn_down.weight", .q_bias = "attn_q.bias", .k_bias = "attn_k.bias", .v_bias = "attn_v.bias",
      .q_norm = "attn_q_norm.weight", .k_norm = "attn_k_norm.weight",
      .ignored = {"rope_freqs.weight", "rope.freqs", "attn_rot_embd.weight"}};
  return names;
}

void read_rope(GgufKeys& keys, const std::string& prefix, ModelSpec& spec) {
  spec.rope_dim = keys.integer(prefix + "rope.dimension_count", 2, kMaxSize, spec.head_dim);
  spec.rope_base = keys.real(prefix + "rope.freq_base", 1.0, 1e12, 10000.0);
  spec.rope_pairing = spec.architecture == "llama" ? RopePairing::interleaved : RopePairing::half;
  const std::string kind = keys.string(prefix + "rope.scaling.type", "");
  if (kind == "linear") {
    spec.rope_scaling.kind = RopeScaling::Kind::linear;
    spec.rope_scaling.factor = static_cast<float>(keys.real(prefix + "rope.scaling.factor", 1e-3, 1e6));
  } else if (kind.empty() && keys.has(prefix + "rope.scale_linear")) {   // the older spelling
    spec.rope_scaling.kind = RopeScaling::Kind::linear;
    spec.rope_scaling.factor = static_cast<float>(keys.real(prefix + "rope.scale_linear", 1e-3, 1e6));
  } else if (!kind.empty() && kind != "none") {
    keys.fail(ErrorCode::unsupported, prefix + "rope.scaling.type",
              fmt::format("{}; supported: none, linear, and per-frequency factors in rope_freqs.weight", kind));
  }
  if (spec.rope_scaling.kind == RopeScaling::Kind::linear && spec.rope_scaling.factor == 1.0f) spec.rope_scaling = {};
}

Result<ModelSpec> read_spec(const GgufFile& file) {
  GgufKeys keys(file);
  ModelSpec spec;
  spec.architecture = keys.string("general.architecture");
  if (keys.error()) return *keys.error();
  if (spec.architecture != "llama" && spec.architecture != "qwen2" && spec.architecture != "qwen3") {
    keys.fail(ErrorCode::unsupported, "general.architecture",
              fmt::format("{} models are not supported; supported: llama, qwen2, qwen3", spec.architecture));
    return *keys.error();
  }
  if (keys.integer("split.count", 0, 65535, 0) > 1) {
    keys.fail(ErrorCode::unsupported, "split.count", "the model is split over several files; merge them into one first");
  }
  const std::string prefix = spec.architecture + ".";
  spec.name = keys.string("general.name", std::filesystem::path(file.file()).stem().string());
  spec.layers = keys.integer(prefix + "block_count", 1, 4096);
  spec.embedding = keys.integer(prefix + "embedding_length", 1, kMaxSize);
  spec.feed_forward = keys.integer(prefix + "feed_forward_length", 1, kMaxSize);
  spec.heads = keys.integer(prefix + "attention.head_count", 1, 65536);
  spec.kv_heads = keys.integer(prefix + "attention.head_count_kv", 1, 65536, spec.heads);
  spec.head_dim = keys.integer(prefix + "attention.key_length", 2, 65536, spec.embedding / spec.heads);
  if (keys.integer(prefix + "attention.value_length", 1, 65536, spec.head_dim) != spec.head_dim) {
    keys.fail(ErrorCode::unsupported, prefix + "attention.value_length", "differs from key_length; supported: equal lengths");
  }
  if (keys.integer(prefix + "expert_count", 0, 65536, 0) != 0) {
    keys.fail(ErrorCode::unsupported, prefix + "expert_count", "mixture-of-experts models are not supported; supported: dense");
  }
  spec.context = keys.integer(prefix + "context_length", 1, std::numeric_limits<std::int32_t>::max());
  spec.sliding_window = keys.integer(prefix + "attention.sliding_window", 0, std::numeric_limits<std::int32_t>::max(), 0);
  spec.norm_epsilon = static_cast<float>(keys.real(prefix + "attention.layer_norm_rms_epsilon", 1e-12, 0.1));
  read_rope(keys, prefix, spec);
  if (keys.error()) return *keys.error();
  return spec;
}

Status read_rope_factors(const GgufFile& file, ModelSpec& spec) {
  const auto found = file.tensors().find("rope_freqs.weight");
  if (found == file.tensors().end()) return ok();
  const TensorView& view = found->second.view;
  const auto refuse = [&](ErrorCode code, std::string_view why) {
    return Error{code, Scope::instance, fmt::format("{}: tensor rope_freqs.weight {}", file.file(), why)};
  };
  if (view.type != TensorType::f32 || view.rows != 1 || view.columns != spec.rope_dim / 2) {
    return refuse(ErrorCode::invalid_file, fmt::format("is {} {} x {}, expected F32 1 x {}", to_string(view.type), view.rows,
                                                       view.columns, spec.rope_dim / 2));
  }
  if (spec.rope_scaling.kind != RopeScaling::Kind::none) {
    return refuse(ErrorCode::unsupported, "comes with rope.scaling.type linear; supported: one of them");
  }
  spec.rope_scaling.kind = RopeScaling::Kind::factors;
  for (std::uint64_t i = 0; i < view.columns; ++i) {
    const float factor = load_as<float>(view.data, i);
    if (!(factor > 0.0f) || !std::isfinite(factor)) {
      return refuse(ErrorCode::invalid_file, fmt::format("has {} at index {}, expected a positive number", factor, i));
    }
    spec.rope_scaling.factors.push_back(factor);
  }
  return ok();
}

}  // namespace

Result<ModelParts> read_gguf_model(std::span<const std::byte> bytes, const std::string& name) {
  const auto file = GgufFile::parse(bytes, name);
  if (!file) return file.error();
  auto spec = read_spec(*file);
  if (!spec) return spec.error();
  if (Status status = read_rope_factors(*file, *spec); !status) return status.error();

  ModelParts parts;
  parts.spec = std::move(*spec);
  TensorTable table(name);
  for (const auto& [tensor, info] : file->tensors()) table.add(std::string(tensor), info.view);
  const auto embedding = table.find(gguf_names().embedding);
  if (!embedding) {
    return Error{ErrorCode::invalid_file, Scope::instance,
                 fmt::format("{}: tensor {} is missing; is this the model itself, not an adapter or a vocabulary?", name,
                             gguf_names().embedding)};
  }
  GgufKeys keys(*file);
  parts.spec.vocabulary = keys.integer(parts.spec.architecture + ".vocab_size", 1, kMaxSize, std::min(embedding->rows, kMaxSize));
  parts.spec.tied = !table.has(gguf_names().output);
  parts.chat_template = keys.string("tokenizer.chat_template", "");
  if (keys.error()) return *keys.error();
  if (Status status = check_spec(parts.spec, name); !status) return status.error();

  auto tensors = table.take_all(parts.spec, gguf_names());
  if (!tensors) return tensors.error();
  parts.tensors = std::move(*tensors);
  auto vocabulary = read_gguf_vocabulary(*file);
  if (!vocabulary) return vocabulary.error();
  parts.vocabulary = std::move(*vocabulary);
  if (parts.vocabulary.kind != VocabularySource::Kind::none && parts.vocabulary.pieces.size() != parts.spec.vocabulary) {
    return Error{ErrorCode::invalid_file, Scope::instance,
                 fmt::format("{}: key tokenizer.ggml.tokens: {} tokens, expected {} as the embedding has rows", name,
                             parts.vocabulary.pieces.size(), parts.spec.vocabulary)};
  }
  return parts;
}

}  // namespace baton
