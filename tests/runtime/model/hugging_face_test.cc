#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/model/json_keys.h"
#include "tests/runtime/model/model_writers.h"

namespace baton {
namespace {

using nlohmann::json;
using test::tiny_hf;
using test::TinyHf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Split = VocabularySource::Split;

Result<ModelParts> read(TinyHf& model) { return read_hf_model(model.files()); }

TEST(HuggingFace, reads_each_architecture_and_dtype) {
  const std::pair<const char*, const char*> architectures[] = {
      {"LlamaForCausalLM", "llama"}, {"MistralForCausalLM", "llama"}, {"Qwen2ForCausalLM", "qwen2"}, {"Qwen3ForCausalLM", "qwen3"}};
  for (const auto& [name, architecture] : architectures) {
    for (const std::string dtype : {"F32", "F16", "BF16"}) {
      for (const bool tied : {true, false}) {
        TinyHf files = tiny_hf(name, dtype, tied);
        const auto model = read(files);
        ASSERT_TRUE(model.ok()) << model.error().message;
        EXPECT_EQ(model->spec.architecture, architecture);
        EXPECT_EQ(model->spec.rope_pairing, RopePairing::half);
        EXPECT_EQ(model->spec.tied, tied);
        EXPECT_STREQ(to_string(model->tensors.layers[0].q.type), dtype.c_str());
        EXPECT_EQ(model->tensors.layers[1].v_bias.present(), model->spec.architecture == "qwen2");
        EXPECT_EQ(model->tensors.layers[1].q_norm.present(), model->spec.architecture == "qwen3");
      }
    }
  }
}

TEST(HuggingFace, reads_every_way_to_state_rope) {
  struct Case {
    const char* name;
    json change;
    RopeScaling::Kind kind;
    double base;
    float factor = 1.0f;
  };
  const json llama3 = {{"rope_type", "llama3"}, {"factor", 32.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 8192}};
  json newer = llama3;
  newer["rope_theta"] = 500000.0;
  const Case cases[] = {
      {"plain", {{"rope_theta", 100000}}, RopeScaling::Kind::none, 100000},
      {"null", {{"rope_scaling", nullptr}}, RopeScaling::Kind::none, 10000},
      {"linear, older key", {{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}}, RopeScaling::Kind::linear, 10000, 2.0f},
      {"llama3", {{"rope_scaling", llama3}}, RopeScaling::Kind::llama3, 10000, 32.0f},
      {"newer group", {{"rope_parameters", newer}, {"rope_theta", nullptr}}, RopeScaling::Kind::llama3, 500000, 32.0f},
      {"newer group, default", {{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1e6}}}},
       RopeScaling::Kind::none, 1e6},
  };
  for (const Case& c : cases) {
    TinyHf files = tiny_hf();
    files.config.update(c.change);
    const auto model = read(files);
    ASSERT_TRUE(model.ok()) << c.name << ": " << model.error().message;
    EXPECT_EQ(model->spec.rope_scaling.kind, c.kind) << c.name;
    EXPECT_EQ(model->spec.rope_base, c.base) << c.name;
    EXPECT_EQ(model->spec.rope_scaling.factor, c.factor) << c.name;
  }
}

TEST(HuggingFace, a_window_counts_only_where_the_model_uses_it) {
  TinyHf mistral = tiny_hf("MistralForCausalLM");
  EXPECT_EQ(read(mistral)->spec.sliding_window, 4096u) << "what the class takes when the file says nothing";
  mistral.config["sliding_window"] = nullptr;
  EXPECT_EQ(read(mistral)->spec.sliding_window, 0u);
  mistral.config["sliding_window"] = 64;
  EXPECT_EQ(read(mistral)->spec.sliding_window, 64u);
  TinyHf qwen = tiny_hf("Qwen2ForCausalLM");
  qwen.config["sliding_window"] = 64;
  EXPECT_EQ(read(qwen)->spec.sliding_window, 0u);
  qwen.config["use_sliding_window"] = true;
  EXPECT_EQ(read(qwen)->spec.sliding_window, 64u);
  qwen.config.erase("sliding_window");
  EXPECT_EQ(read(qwen)->spec.sliding_window, 4096u);
}

TEST(HuggingFace, the_longest_context_ends_where_the_window_does) {
  TinyHf files = tiny_hf("MistralForCausalLM");     // of 128 positions
  for (const auto& [window, longest] : {std::pair{0u, 128u}, {64u, 64u}, {128u, 128u}, {4096u, 128u}}) {
    files.config["sliding_window"] = window;
    const ModelSpec spec = read(files)->spec;
    EXPECT_EQ(spec.longest_context(), longest) << window;
    EXPECT_EQ(*choose_length(spec, 0), longest) << window;
    EXPECT_EQ(*choose_length(spec, longest), longest) << window;
    const auto refused = choose_length(spec, longest + 1);
    ASSERT_FALSE(refused.ok()) << window;
    EXPECT_THAT(refused.error().message, HasSubstr(window == 64 ? "sliding window of 64" : "context of 128"));
    EXPECT_THAT(refused.error().message, HasSubstr("--max-model-len"));
  }
}

TEST(HuggingFace, tensors_may_lie_in_several_shards_and_unaligned) {
  TinyHf files = tiny_hf();
  const auto whole = read(files);
  ASSERT_TRUE(whole.ok());
  TinyHf split = tiny_hf();
  split.shards.clear();
  test::SafetensorsWriter first, second;
  first.pad_to = second.pad_to = 1;   // as old files are
  first.header["__metadata__"] = {{"format", "pt"}, {"odd", "x"}};
  const auto all = tiny_hf().shards[0].second.header;
  std::size_t i = 0;
  for (const auto& [name, info] : all.items()) (i++ % 2 ? first : second).add(name, "F32", info["shape"]);
  split.shards = {{"model-00001-of-00002.safetensors", first}, {"model-00002-of-00002.safetensors", second}};
  const auto model = read(split);
  ASSERT_TRUE(model.ok()) << model.error().message;
  for (const LayerTensors& layer : model->tensors.layers) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(layer.q.data.data()) % 4, 0u);
    EXPECT_EQ(layer.q.data.size(), 32u * 32u * 4u);
  }
}

TEST(HuggingFace, ends_are_gathered_from_all_files) {
  TinyHf files = tiny_hf();
  files.config["eos_token_id"] = json::array({5, 6});
  files.generation = {{"eos_token_id", {6, 7}}};
  EXPECT_THAT(read(files)->vocabulary.eos, ElementsAre(5, 6, 7, 2, 0));   // then eos_token, then the known spellings
}

TEST(HuggingFace, reads_merges_in_both_spellings) {
  TinyHf files = tiny_hf();
  files.tokenizer["model"]["merges"] = json::array({json::array({"a", "b"}), json::array({"ab", "c"})});
  const auto pairs = read(files);
  TinyHf strings = tiny_hf();
  ASSERT_TRUE(pairs.ok());
  EXPECT_EQ(pairs->vocabulary.merges, read(strings)->vocabulary.merges);
}

TEST(HuggingFace, reads_the_passes_of_a_pre_tokenizer_in_order) {
  TinyHf files = tiny_hf();
  files.tokenizer["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Digits"}, {"individual_digits", true}},
        {{"type", "Split"}, {"pattern", {{"Regex", "\\p{N}{1,3}"}}}, {"behavior", "Isolated"}, {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  files.tokenizer["normalizer"] = {{"type", "NFC"}};
  files.tokenizer["model"]["ignore_merges"] = true;
  const auto model = read(files);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const VocabularySource& v = model->vocabulary;
  ASSERT_EQ(v.splits.size(), 2u);
  EXPECT_EQ(v.splits[0].kind, Split::Kind::digits);
  EXPECT_TRUE(v.splits[0].individual_digits);
  EXPECT_EQ(v.splits[1].pattern, "\\p{N}{1,3}");
  EXPECT_TRUE(v.prefix_space == VocabularySource::PrefixSpace::never && v.nfc && v.ignore_merges);
  TinyHf plain = tiny_hf();
  EXPECT_EQ(read(plain)->vocabulary.splits[0].kind, Split::Kind::byte_level_gpt2);
}

TEST(HuggingFace, bos_is_added_where_the_post_processor_says_so) {
  TinyHf files = tiny_hf();
  EXPECT_FALSE(read(files)->vocabulary.add_bos);
  files.tokenizer["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        {{"type", "TemplateProcessing"},
         {"single", {{{"SpecialToken", {{"id", "<|im_start|>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}}}}}}}}}};
  const auto model = read(files);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_TRUE(model->vocabulary.add_bos);
  EXPECT_FALSE(model->vocabulary.add_eos);
  EXPECT_EQ(model->vocabulary.bos, 1);
}

TEST(HuggingFace, sentencepiece_written_as_bpe_keeps_its_merges) {
  TinyHf files = tiny_hf();
  files.config["vocab_size"] = 14;
  files.shards[0].second.header["model.embed_tokens.weight"] = nullptr;
  test::SafetensorsWriter w = test::tiny_safetensors("F32", true, "LlamaForCausalLM");
  w.add("model.embed_tokens.weight", "F32", {14, 32});
  files.shards[0].second = w;
  const json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}, {"<0x0A>", 3}, {"\u2581", 4}, {"a", 5}, {"b", 6},
                           {"\u2581a", 7}, {"ab", 8}, {"\u2581ab", 9}, {"orphan", 10}, {"o", 11}};
  files.tokenizer = {
      {"added_tokens", {{{"id", 0}, {"content", "<unk>"}, {"special", true}}, {{"id", 1}, {"content", "<s>"}, {"special", true}},
                        {{"id", 2}, {"content", "</s>"}, {"special", true}}}},
      {"normalizer", {{"type", "Sequence"},
                      {"normalizers", {{{"type", "Prepend"}, {"prepend", "\u2581"}},
                                       {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}}},
      {"decoder", {{"type", "Sequence"},
                   {"decoders", {{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
                                 {{"type", "ByteFallback"}}, {{"type", "Fuse"}},
                                 {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model", {{"type", "BPE"}, {"unk_token", "<unk>"}, {"byte_fallback", true}, {"fuse_unk", true}, {"vocab", vocabulary},
                 {"merges", {"\u2581 a", "a b", "\u2581a b", "\u2581 ab"}}}}};
  files.tokenizer_config = {{"tokenizer_class", "LlamaTokenizerFast"}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const auto model = read(files);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const VocabularySource& v = model->vocabulary;
  EXPECT_EQ(v.kind, VocabularySource::Kind::sentencepiece);
  EXPECT_TRUE(v.prepend_space && v.add_bos && !v.split_at_spaces);
  EXPECT_EQ(v.prefix_space, VocabularySource::PrefixSpace::never);
  EXPECT_TRUE(v.scores.empty());
  EXPECT_EQ(v.merges[3], (std::pair<std::string, std::string>{"\u2581", "ab"}));
  EXPECT_EQ(v.kinds[0], VocabularySource::TokenKind::unknown);
  EXPECT_EQ(v.kinds[3], VocabularySource::TokenKind::byte);
  EXPECT_EQ(v.kinds[13], VocabularySource::TokenKind::unused);   // padding of the table
}

TEST(HuggingFace, the_template_is_that_of_the_file_beside_then_of_the_config) {
  TinyHf files = tiny_hf();
  EXPECT_EQ(read(files)->chat_template, "{{ messages }}");
  files.tokenizer_config["chat_template"] = {{{"name", "tool_use"}, {"template", "t"}}, {{"name", "default"}, {"template", "d"}}};
  EXPECT_EQ(read(files)->chat_template, "d");
  files.chat_template = "jinja";
  EXPECT_EQ(read(files)->chat_template, "jinja");
}

struct BrokenFolder {
  const char* name;
  std::function<void(TinyHf&)> change;
  const char* message;
  ErrorCode code = ErrorCode::invalid_file;
};

void expect_each_folder_refused(const std::vector<BrokenFolder>& cases) {
  for (const BrokenFolder& c : cases) {
    TinyHf files = tiny_hf();
    c.change(files);
    const auto model = read(files);
    ASSERT_FALSE(model.ok()) << c.name;
    EXPECT_THAT(model.error().message, HasSubstr(c.message)) << c.name;
    EXPECT_THAT(model.error().message, HasSubstr("tiny")) << c.name;
    EXPECT_EQ(model.error().code, c.code) << c.name;
  }
}

json& tensor(TinyHf& files, const char* name) { return files.shards[0].second.header[name]; }

TEST(HuggingFace, a_wrong_config_is_refused_by_key_and_expectation) {
  const auto set = [](const char* key, json value) { return [=](TinyHf& f) { f.config[key] = value; }; };
  expect_each_folder_refused({
      {"architecture", set("architectures", {"BertModel"}), "BertModel is not supported; supported: LlamaForCausalLM",
       ErrorCode::unsupported},
      {"no architecture", set("architectures", nullptr), "key architectures: expected a list"},
      {"layers as text", set("num_hidden_layers", "2"), "key num_hidden_layers: expected an integer from 1 to 4096, found \"2\""},
      {"layers of half", set("num_hidden_layers", 2.5), "found 2.5"},
      {"negative", set("hidden_size", -1), "key hidden_size"},
      {"no size", set("hidden_size", nullptr), "key hidden_size: missing"},
      {"heads that do not divide", set("num_key_value_heads", 3), "expected a multiple of the 3 key/value heads"},
      {"odd head", set("head_dim", 15), "a head size of 15"},
      {"activation", set("hidden_act", "gelu"), "gelu is not supported; supported: silu", ErrorCode::unsupported},
      {"quantised", set("quantization_config", json::object()), "key quantization_config", ErrorCode::unsupported},
      {"mlp bias", set("mlp_bias", true), "key mlp_bias", ErrorCode::unsupported},
      {"yarn", set("rope_scaling", {{"rope_type", "yarn"}}),
       "rope_scaling.rope_type: yarn is not supported", ErrorCode::unsupported},
      {"llama3 without a factor", set("rope_scaling", {{"rope_type", "llama3"}}), "rope_scaling.factor: missing"},
      {"eos beyond the end", set("eos_token_id", 12), "eos_token_id: expected a token id below 12"},
      {"untied without a head", set("tie_word_embeddings", false), "lm_head.weight is missing"},
  });
}

TEST(HuggingFace, a_broken_safetensors_file_is_refused_by_tensor) {
  const char* q = "model.layers.0.self_attn.q_proj.weight";
  expect_each_folder_refused({
      {"dtype", [q](TinyHf& f) { tensor(f, q)["dtype"] = "I64"; }, "q_proj.weight is I64; supported: F32, F16, BF16",
       ErrorCode::unsupported},
      {"no dtype", [q](TinyHf& f) { tensor(f, q).erase("dtype"); }, "q_proj.weight.dtype: missing"},
      {"no shape", [q](TinyHf& f) { tensor(f, q).erase("shape"); }, "has no shape"},
      {"shape of 0", [q](TinyHf& f) { tensor(f, q)["shape"] = {0, 32}; }, "no positive integer"},
      {"negative shape", [q](TinyHf& f) { tensor(f, q)["shape"] = {-32, 32}; }, "no positive integer"},
      {"product overflows", [q](TinyHf& f) { tensor(f, q)["shape"] = {1ull << 40, 1ull << 40}; }, "larger than the file"},
      {"shape and bytes", [q](TinyHf& f) { tensor(f, q)["shape"] = {32, 16}; }, "2048 bytes, but its data_offsets span 4096"},
      {"offsets reversed", [q](TinyHf& f) { tensor(f, q)["data_offsets"] = {4096, 0}; }, "lies outside"},
      {"offsets beyond", [q](TinyHf& f) { tensor(f, q)["data_offsets"] = {0, 1u << 30}; }, "lies outside"},
      {"one offset", [q](TinyHf& f) { tensor(f, q)["data_offsets"] = {0}; }, "no data_offsets of two numbers"},
      {"no object", [q](TinyHf& f) { tensor(f, q) = 5; }, "q_proj.weight.dtype: missing"},
      {"tensor in two shards", [](TinyHf& f) { f.shards.push_back(f.shards[0]); }, "appears twice in the model's files"},
      {"the same bytes twice",
       [q](TinyHf& f) { tensor(f, "model.layers.1.self_attn.q_proj.weight")["data_offsets"] = tensor(f, q)["data_offsets"]; },
       "q_proj.weight overlap"},
      {"a few bytes of the one before",
       [q](TinyHf& f) {
         const std::uint64_t begin = tensor(f, q)["data_offsets"][0];
         tensor(f, q)["data_offsets"] = {begin - 4, begin + 4092};
       },
       "tensors model.layers.0.post_attention_layernorm.weight and model.layers.0.self_attn.q_proj.weight overlap"},
  });
  const auto read_bytes = [](const std::string& bytes) {
    TensorTable table("tiny");
    std::vector<std::shared_ptr<const void>> owners;
    HfFiles files;
    TinyHf tiny = tiny_hf();
    files = tiny.files();
    files.shards = {{"model.safetensors", std::as_bytes(std::span(bytes.data(), bytes.size()))}};
    return read_hf_model(files);
  };
  const std::pair<std::string, const char*> raw_files[] = {
      {"", "too short"},
      {"1234567", "too short"},
      {test::raw(~std::uint64_t{0}) + "{}", "states a header of 18446744073709551615 bytes"},
      {test::raw(std::uint64_t{4}) + "{", "states a header of 4 bytes"},
      {test::raw(std::uint64_t{2}) + "[]", "expected a JSON object"},
      {test::raw(std::uint64_t{2}) + "{\"", "not valid JSON"},
      {test::raw(std::uint64_t{15}) + "{\"a\":1,\"a\":2}  ", "key a appears twice"},
      {test::raw(std::uint64_t{200}) + std::string(100, '[') + std::string(100, ']'), "nested deeper than 64"},
  };
  for (const auto& [bytes, message] : raw_files) {
    const auto model = read_bytes(bytes);
    ASSERT_FALSE(model.ok()) << message;
    EXPECT_THAT(model.error().message, HasSubstr(message));
  }
}

TEST(HuggingFace, a_component_that_is_not_known_is_refused_by_name) {
  const auto set = [](const char* key, json value) { return [=](TinyHf& f) { f.tokenizer[key] = value; }; };
  const auto in_model = [](const char* key, json value) { return [=](TinyHf& f) { f.tokenizer["model"][key] = value; }; };
  expect_each_folder_refused({
      {"model", in_model("type", "Unigram"), "Unigram is not supported; supported: BPE", ErrorCode::unsupported},
      {"suffix", in_model("end_of_word_suffix", "</w>"), "end_of_word_suffix", ErrorCode::unsupported},
      {"normalizer", set("normalizer", {{"type", "Lowercase"}}),
       "key normalizer: Lowercase is not supported", ErrorCode::unsupported},
      {"pre_tokenizer", set("pre_tokenizer", {{"type", "Whitespace"}}), "key pre_tokenizer: Whitespace", ErrorCode::unsupported},
      {"no pre_tokenizer", set("pre_tokenizer", nullptr), "neither ByteLevel nor Metaspace", ErrorCode::unsupported},
      {"split behaviour", set("pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "x"}}}, {"behavior", "MergedWithNext"}}),
       "Split with behavior MergedWithNext", ErrorCode::unsupported},
      {"split without a type", set("pre_tokenizer", {{"pattern", "x"}}), "pre_tokenizer.type: missing"},
      {"decoder", set("decoder", {{"type", "WordPiece"}}), "key decoder: WordPiece", ErrorCode::unsupported},
      {"post_processor", set("post_processor", {{"type", "BertProcessing"}}),
       "key post_processor: BertProcessing", ErrorCode::unsupported},
      {"sequence without parts", set("normalizer", {{"type", "Sequence"}}), "a Sequence without a list normalizers"},
      {"no vocab", in_model("vocab", nullptr), "model.vocab: expected an object"},
      {"id beyond the end", in_model("vocab", {{"a", 99}}), "piece a has no id below the model's vocab_size, 12"},
      {"id twice", in_model("vocab", {{"a", 1}, {"b", 1}}), "two pieces have id 1"},
      {"no merges", in_model("merges", nullptr), "model.merges: expected a list"},
      {"merge of one", in_model("merges", {"a b", "c"}), "merge 1 is not two pieces"},
      {"merge of three", in_model("merges", json::array({json::array({"a", "b", "c"})})), "merge 0 is not two pieces"},
      {"merge of what is no piece", [](TinyHf& f) {
         f.tokenizer["pre_tokenizer"] = {{"type", "Metaspace"}};
         f.tokenizer["model"]["merges"] = {"a b", "b b"};
       }, "merge 1 needs bb"},
      {"metaspace prefix", set("pre_tokenizer", {{"type", "Metaspace"}, {"prepend_scheme", "second"}}),
       "prepend_scheme second is not supported; supported: never, first, always", ErrorCode::unsupported},
      {"blank before each part",
       set("pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Digits"}}, {{"type", "ByteLevel"}}}}}),
       "ByteLevel with add_prefix_space after another", ErrorCode::unsupported},
      {"whole words", set("added_tokens", json::array({{{"id", 3}, {"content", "a"}, {"single_word", true}}})),
       "added_tokens.single_word: true is not supported", ErrorCode::unsupported},
      {"added token without content", set("added_tokens", json::array({{{"id", 3}}})), "added_tokens.content: missing"},
      {"added token of another content", set("added_tokens", json::array({{{"id", 3}, {"content", "zzz"}}})), "another content"},
  });
}

TEST(HuggingFace, a_shard_outside_the_directory_is_refused) {
  for (const char* name : {"../other.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", ".safetensors", "x.bin",
                           "a\\b.safetensors"}) {
    const auto names = read_shard_index(json{{"weight_map", {{"t", name}}}}.dump(), "index");
    ASSERT_FALSE(names.ok()) << name;
    EXPECT_THAT(names.error().message, HasSubstr("tensor t is not in a .safetensors file of this directory"));
  }
  const auto names = read_shard_index(
      R"({"weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}})", "index");
  ASSERT_TRUE(names.ok());
  EXPECT_THAT(*names, ElementsAre("m-1.safetensors", "m-2.safetensors"));
  EXPECT_FALSE(read_shard_index("{}", "index").ok());
}

}  // namespace
}  // namespace baton
