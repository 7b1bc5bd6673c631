// Writes small model files in memory: GGUF and a Hugging Face directory, complete, so that a test changes one thing and sees
// what the reader says. Weights are a fixed pattern; the shape is 2 layers of 32, 2 heads of 16 over 1 key/value head.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "runtime/model/hf_files.h"

namespace baton::test {

constexpr std::uint32_t kTinyVocabulary = 12;
constexpr std::uint32_t kTinyEmbedding = 32;

template <class T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
inline std::string gguf_string(const std::string& text) { return raw<std::uint64_t>(text.size()) + text; }

// Pairs and tensors in order, to be changed before bytes().
struct GgufWriter {
  struct Pair {
    std::string key;
    std::uint32_t type;
    std::string value;
  };
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> dimensions;
    std::uint32_t type = 0;
    std::uint64_t size = 0;
    std::int64_t offset = -1;   // -1: the next free one
  };
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  std::int64_t states_pairs = -1, states_tensors = -1;   // -1: the truth
  std::vector<Pair> pairs;
  std::vector<Tensor> tensors;

  void set(const std::string& key, std::uint32_t type, std::string value) {
    for (Pair& pair : pairs) {
      if (pair.key == key) {
        pair = {key, type, std::move(value)};
        return;
      }
    }
    pairs.push_back({key, type, std::move(value)});
  }
  void u32(const std::string& key, std::uint32_t value) { set(key, 4, raw(value)); }
  void f32(const std::string& key, float value) { set(key, 6, raw(value)); }
  void boolean(const std::string& key, std::uint8_t value) { set(key, 7, raw(value)); }
  void string(const std::string& key, const std::string& value) { set(key, 8, gguf_string(value)); }
  void strings(const std::string& key, const std::vector<std::string>& values) {
    std::string out = raw<std::uint32_t>(8) + raw<std::uint64_t>(values.size());
    for (const auto& value : values) out += gguf_string(value);
    set(key, 9, out);
  }
  template <class T>
  void array(const std::string& key, std::uint32_t element, const std::vector<T>& values) {
    std::string out = raw(element) + raw<std::uint64_t>(values.size());
    for (const T value : values) out += raw(value);
    set(key, 9, out);
  }
  void erase(const std::string& key) {
    std::erase_if(pairs, [&](const Pair& pair) { return pair.key == key; });
  }
  void erase_tensor(const std::string& name) {
    std::erase_if(tensors, [&](const Tensor& tensor) { return tensor.name == name; });
  }
  Tensor& tensor(const std::string& name) {
    for (Tensor& t : tensors) {
      if (t.name == name) return t;
    }
    return tensors.emplace_back(Tensor{name, {}});
  }
  void add_f32(const std::string& name, std::vector<std::uint64_t> dimensions) {
    std::uint64_t size = 4;
    for (const auto d : dimensions) size *= d;
    tensors.push_back({name, std::move(dimensions), 0, size});
  }

  std::string bytes() const {
    std::string out = magic + raw(version);
    out += raw<std::uint64_t>(states_tensors < 0 ? tensors.size() : static_cast<std::uint64_t>(states_tensors));
    out += raw<std::uint64_t>(states_pairs < 0 ? pairs.size() : static_cast<std::uint64_t>(states_pairs));
    for (const Pair& pair : pairs) out += gguf_string(pair.key) + raw(pair.type) + pair.value;
    std::uint64_t next = 0;
    for (const Tensor& t : tensors) {
      const std::uint64_t offset = t.offset < 0 ? next : static_cast<std::uint64_t>(t.offset);
      out += gguf_string(t.name) + raw(static_cast<std::uint32_t>(t.dimensions.size()));
      for (const auto d : t.dimensions) out += raw(d);
      out += raw(t.type) + raw(offset);
      next = (next + t.size + alignment - 1) / alignment * alignment;
    }
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    std::string data(next, '\0');
    for (std::size_t i = 0; i + 4 <= data.size(); i += 4) {
      const float value = 0.25f + 0.001f * static_cast<float>(i % 997);
      std::memcpy(&data[i], &value, 4);
    }
    return out + data;
  }
};

inline std::vector<std::string> tiny_pieces() {
  return {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "c", "ab", "abc", "\xc4\xa0", "1", "2", "3"};
}

inline GgufWriter tiny_gguf(const std::string& architecture = "llama") {
  GgufWriter w;
  const std::string p = architecture + ".";
  w.string("general.architecture", architecture);
  w.string("general.name", "tiny");
  w.u32(p + "block_count", 2);
  w.u32(p + "context_length", 128);
  w.u32(p + "embedding_length", kTinyEmbedding);
  w.u32(p + "feed_forward_length", 64);
  w.u32(p + "attention.head_count", 2);
  w.u32(p + "attention.head_count_kv", 1);
  w.f32(p + "attention.layer_norm_rms_epsilon", 1e-5f);
  w.f32(p + "rope.freq_base", 10000.0f);
  w.string("tokenizer.ggml.model", "gpt2");
  w.string("tokenizer.ggml.pre", "smollm");
  w.strings("tokenizer.ggml.tokens", tiny_pieces());
  w.array<std::int32_t>("tokenizer.ggml.token_type", 5, {3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  w.strings("tokenizer.ggml.merges", {"a b", "ab c"});
  w.u32("tokenizer.ggml.bos_token_id", 1);
  w.u32("tokenizer.ggml.eos_token_id", 2);
  w.string("tokenizer.chat_template", "{{ messages }}");
  w.add_f32("token_embd.weight", {kTinyEmbedding, kTinyVocabulary});
  w.add_f32("output_norm.weight", {kTinyEmbedding});
  for (int i = 0; i < 2; ++i) {
    const std::string b = "blk." + std::to_string(i) + ".";
    w.add_f32(b + "attn_norm.weight", {32});
    w.add_f32(b + "attn_q.weight", {32, 32});
    w.add_f32(b + "attn_k.weight", {32, 16});
    w.add_f32(b + "attn_v.weight", {32, 16});
    w.add_f32(b + "attn_output.weight", {32, 32});
    w.add_f32(b + "ffn_norm.weight", {32});
    w.add_f32(b + "ffn_gate.weight", {32, 64});
    w.add_f32(b + "ffn_up.weight", {32, 64});
    w.add_f32(b + "ffn_down.weight", {64, 32});
    if (architecture == "qwen2") {
      w.add_f32(b + "attn_q.bias", {32});
      w.add_f32(b + "attn_k.bias", {16});
      w.add_f32(b + "attn_v.bias", {16});
    }
    if (architecture == "qwen3") {
      w.add_f32(b + "attn_q_norm.weight", {16});
      w.add_f32(b + "attn_k_norm.weight", {16});
    }
  }
  return w;
}

// A safetensors file from name -> (dtype, shape); data in the order of the names.
struct SafetensorsWriter {
  nlohmann::json header = nlohmann::json::object();
  std::uint64_t data_bytes = 0;
  std::size_t pad_to = 8;

  void add(const std::string& name, const std::string& dtype, const std::vector<std::uint64_t>& shape) {
    std::uint64_t size = dtype == "F32" ? 4 : 2;
    for (const auto d : shape) size *= d;
    header[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {data_bytes, data_bytes + size}}};
    data_bytes += size;
  }
  std::string bytes() const {
    std::string text = header.dump();
    while (text.size() % pad_to != 0) text += ' ';
    std::string data(data_bytes, '\0');
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 37 % 64);
    return raw<std::uint64_t>(text.size()) + text + data;
  }
};

struct TinyHf {
  nlohmann::json config, tokenizer, tokenizer_config, generation;
  std::vector<std::pair<std::string, SafetensorsWriter>> shards;
  std::string chat_template;
  std::vector<std::string> shard_bytes;   // made by files(), which points into them

  HfFiles files() {
    shard_bytes.clear();
    HfFiles out;
    out.directory = "tiny";
    out.config = config.dump();
    out.tokenizer = tokenizer.dump();
    out.tokenizer_config = tokenizer_config.dump();
    out.generation_config = generation.is_null() ? "" : generation.dump();
    out.chat_template = chat_template;
    for (const auto& [name, writer] : shards) shard_bytes.push_back(writer.bytes());
    for (std::size_t i = 0; i < shards.size(); ++i) {
      out.shards.push_back({shards[i].first, std::as_bytes(std::span(shard_bytes[i].data(), shard_bytes[i].size()))});
    }
    return out;
  }
};

inline SafetensorsWriter tiny_safetensors(const std::string& dtype, bool tied, const std::string& architecture) {
  SafetensorsWriter w;
  w.add("model.embed_tokens.weight", dtype, {kTinyVocabulary, kTinyEmbedding});
  w.add("model.norm.weight", dtype, {kTinyEmbedding});
  if (!tied) w.add("lm_head.weight", dtype, {kTinyVocabulary, kTinyEmbedding});
  for (int i = 0; i < 2; ++i) {
    const std::string l = "model.layers." + std::to_string(i) + ".";
    w.add(l + "input_layernorm.weight", dtype, {32});
    w.add(l + "post_attention_layernorm.weight", dtype, {32});
    w.add(l + "self_attn.q_proj.weight", dtype, {32, 32});
    w.add(l + "self_attn.k_proj.weight", dtype, {16, 32});
    w.add(l + "self_attn.v_proj.weight", dtype, {16, 32});
    w.add(l + "self_attn.o_proj.weight", dtype, {32, 32});
    w.add(l + "mlp.gate_proj.weight", dtype, {64, 32});
    w.add(l + "mlp.up_proj.weight", dtype, {64, 32});
    w.add(l + "mlp.down_proj.weight", dtype, {32, 64});
    if (architecture == "Qwen2ForCausalLM") {
      w.add(l + "self_attn.q_proj.bias", dtype, {32});
      w.add(l + "self_attn.k_proj.bias", dtype, {16});
      w.add(l + "self_attn.v_proj.bias", dtype, {16});
    }
    if (architecture == "Qwen3ForCausalLM") {
      w.add(l + "self_attn.q_norm.weight", dtype, {16});
      w.add(l + "self_attn.k_norm.weight", dtype, {16});
    }
  }
  return w;
}

inline TinyHf tiny_hf(const std::string& architecture = "LlamaForCausalLM", const std::string& dtype = "F32", bool tied = true) {
  TinyHf out;
  out.config = {{"architectures", {architecture}}, {"hidden_size", kTinyEmbedding}, {"intermediate_size", 64},
                {"num_hidden_layers", 2}, {"num_attention_heads", 2}, {"num_key_value_heads", 1}, {"head_dim", 16},
                {"vocab_size", kTinyVocabulary}, {"max_position_embeddings", 128}, {"rms_norm_eps", 1e-5}, {"rope_theta", 10000.0},
                {"hidden_act", "silu"}, {"tie_word_embeddings", tied}, {"bos_token_id", 1}, {"eos_token_id", 2}};
  nlohmann::json vocabulary = nlohmann::json::object();
  const auto pieces = tiny_pieces();
  for (std::size_t i = 0; i < pieces.size(); ++i) vocabulary[pieces[i]] = i;
  nlohmann::json added = nlohmann::json::array();
  for (std::size_t i = 0; i < 3; ++i) added.push_back({{"id", i}, {"content", pieces[i]}, {"special", true}});
  const nlohmann::json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  out.tokenizer = {{"added_tokens", added}, {"normalizer", nullptr}, {"pre_tokenizer", byte_level}, {"post_processor", nullptr},
                   {"decoder", byte_level},
                   {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b", "ab c"}}}}};
  out.tokenizer_config = {{"chat_template", "{{ messages }}"}, {"eos_token", "<|im_end|>"}};
  out.shards.emplace_back("model.safetensors", tiny_safetensors(dtype, tied, architecture));
  return out;
}

}  // namespace baton::test
