// The texts of a Hugging Face directory: config, tokenizer, tokenizer_config, generation_config and index, a zero byte between
// them, beside a valid safetensors file.
#include "runtime/model/hf_files.h"
#include "tests/fuzz/mutation.h"
#include "tests/runtime/model/model_writers.h"

namespace {

using nlohmann::json;

json other_tokenizer(json tokenizer) {
  tokenizer["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}};
  tokenizer["pre_tokenizer"] = {{"type", "Sequence"},
                                {"pretokenizers",
                                 {{{"type", "Digits"}, {"individual_digits", true}},
                                  {{"type", "Split"}, {"pattern", {{"Regex", "a+"}}}, {"behavior", "Isolated"}, {"invert", false}},
                                  {{"type", "ByteLevel"}, {"use_regex", false}}}}};
  tokenizer["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<|im_start|>"}}}}, {{"Sequence", {{"id", "A"}}}}}}};
  tokenizer["model"]["merges"] = json::array({json::array({"a", "b"}), json::array({"ab", "c"})});
  return tokenizer;
}

json sentencepiece(json tokenizer) {
  tokenizer["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "first"}};
  tokenizer["decoder"] = nullptr;
  tokenizer["model"]["byte_fallback"] = true;
  tokenizer["added_tokens"][0].update({{"lstrip", true}, {"rstrip", true}, {"normalized", true}, {"single_word", false}});
  return tokenizer;
}

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> out;
    const std::string index = R"({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}})";
    const std::string generation = R"({"eos_token_id": [2, 0]})";
    for (const char* name : {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
      auto tiny = baton::test::tiny_hf(name);
      auto scaled = tiny.config;
      scaled["rope_parameters"] = {{"rope_type", "llama3"}, {"rope_theta", 5e5}, {"factor", 8.0}, {"low_freq_factor", 1.0},
                                   {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 64}};
      const std::string named = tiny.tokenizer_config.dump();
      out.push_back(baton::fuzz::join({tiny.config.dump(), tiny.tokenizer.dump(), named, generation, index}));
      out.push_back(baton::fuzz::join({scaled.dump(), other_tokenizer(tiny.tokenizer).dump(), named, generation, index}));
      out.push_back(baton::fuzz::join({tiny.config.dump(), sentencepiece(tiny.tokenizer).dump(), named, generation, index}));
    }
    return out;
  }();
  return all;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return baton::fuzz::mutate_json_parts(seeds(), data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> shards = [] {
    std::vector<std::string> out;
    for (const char* name : {"LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
      out.push_back(baton::test::tiny_safetensors("F32", true, name).bytes());
    }
    return out;
  }();
  auto parts = baton::fuzz::parts_of({reinterpret_cast<const char*>(data), size});
  parts.resize(5);
  baton::HfFiles files;
  files.directory = "input";
  files.config = parts[0];
  files.tokenizer = parts[1];
  files.tokenizer_config = parts[2];
  files.generation_config = parts[3];
  const std::string& shard = shards[parts[0].find("Qwen2") != std::string::npos ? 1 : parts[0].find("Qwen3") != std::string::npos ? 2 : 0];
  files.shards = {{"model.safetensors", std::as_bytes(std::span(shard.data(), shard.size()))}};
  const auto model = baton::read_hf_model(files);
  if (!model.ok() && model.error().message.empty()) __builtin_trap();
  (void)baton::read_shard_index(parts[4], "index");
  // Apart from the model, so that a vocabulary is read however wrong the config is.
  baton::HfConfig config;
  config.spec.vocabulary = 16;
  (void)baton::read_hf_vocabulary(files, config);
  return 0;
}
