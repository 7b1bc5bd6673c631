#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "runtime/model/model_parts.h"
#include "tests/runtime/model/model_writers.h"

namespace baton {
namespace {

using test::GgufWriter;
using test::gguf_string;
using test::raw;
using test::tiny_gguf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<ModelParts> read(const std::string& bytes) {
  return read_gguf_model(std::as_bytes(std::span(bytes.data(), bytes.size())), "tiny.gguf");
}
Result<ModelParts> read(const GgufWriter& writer) { return read(writer.bytes()); }

TEST(Gguf, reads_each_architecture_with_its_own_tensors_and_rope_pairing) {
  for (const std::string architecture : {"llama", "qwen2", "qwen3"}) {
    const std::string bytes = tiny_gguf(architecture).bytes();
    const auto model = read(bytes);
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ(model->spec.architecture, architecture);
    EXPECT_EQ(model->spec.head_dim, 16u);
    EXPECT_EQ(model->spec.rope_dim, 16u);
    EXPECT_TRUE(model->spec.tied);
    EXPECT_EQ(model->tensors.output.data.data(), model->tensors.embedding.data.data());
    EXPECT_EQ(model->spec.rope_pairing, architecture == "llama" ? RopePairing::interleaved : RopePairing::half);
    EXPECT_EQ(model->tensors.layers[1].q_bias.present(), architecture == "qwen2");
    EXPECT_EQ(model->tensors.layers[1].k_norm.present(), architecture == "qwen3");
    EXPECT_EQ(model->tensors.layers[0].down.rows, 32u);
    EXPECT_EQ(model->tensors.layers[0].down.columns, 64u);
    EXPECT_EQ(model->chat_template, "{{ messages }}");
  }
}

TEST(Gguf, reads_the_vocabulary_as_it_stands) {
  const std::string bytes = tiny_gguf().bytes();
  const auto model = read(bytes);
  ASSERT_TRUE(model.ok());
  const VocabularySource& v = model->vocabulary;
  EXPECT_EQ(v.kind, VocabularySource::Kind::byte_level_bpe);
  EXPECT_EQ(v.pieces, test::tiny_pieces());
  EXPECT_EQ(v.kinds[2], VocabularySource::TokenKind::control);
  EXPECT_EQ(v.merges[1], (std::pair<std::string, std::string>{"ab", "c"}));
  EXPECT_EQ(v.pre_tokenizer, "smollm");
  EXPECT_THAT(v.eos, ElementsAre(2, 0));   // what the key names, then <|endoftext|>
  EXPECT_EQ(v.bos, 1);
  EXPECT_FALSE(v.add_bos);
}

TEST(Gguf, reads_a_sentencepiece_vocabulary_with_its_habits) {
  GgufWriter w = tiny_gguf();
  w.string("tokenizer.ggml.model", "llama");
  w.array<float>("tokenizer.ggml.scores", 6, {0, 0, 0, -1, -2, -3, -4, -5, -6, -7, -8, -9});
  w.array<std::int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 4, 5});
  w.erase("tokenizer.ggml.merges");
  const auto model = read(w);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const VocabularySource& v = model->vocabulary;
  EXPECT_EQ(v.kind, VocabularySource::Kind::sentencepiece);
  EXPECT_EQ(v.scores[11], -9.0f);
  EXPECT_TRUE(v.add_bos);
  EXPECT_TRUE(v.prepend_space);
  EXPECT_EQ(v.unknown, 0);
  EXPECT_EQ(v.kinds[3], VocabularySource::TokenKind::byte);
}

TEST(Gguf, takes_any_integer_type_for_a_count) {
  const std::pair<std::uint32_t, std::string> spellings[] = {
      {0, raw<std::uint8_t>(2)}, {1, raw<std::int8_t>(2)},   {2, raw<std::uint16_t>(2)},  {3, raw<std::int16_t>(2)},
      {5, raw<std::int32_t>(2)}, {10, raw<std::uint64_t>(2)}, {11, raw<std::int64_t>(2)}};
  for (const auto& [type, value] : spellings) {
    GgufWriter w = tiny_gguf();
    w.set("llama.block_count", type, value);
    const auto model = read(w);
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ(model->spec.layers, 2u);
  }
}

TEST(Gguf, reads_every_way_to_scale_rope) {
  GgufWriter linear = tiny_gguf();
  linear.string("llama.rope.scaling.type", "linear");
  linear.f32("llama.rope.scaling.factor", 4.0f);
  const auto scaled = read(linear);
  ASSERT_TRUE(scaled.ok());
  EXPECT_EQ(scaled->spec.rope_scaling.kind, RopeScaling::Kind::linear);
  EXPECT_EQ(scaled->spec.rope_scaling.factor, 4.0f);

  GgufWriter factors = tiny_gguf();
  factors.add_f32("rope_freqs.weight", {8});
  const auto by_factor = read(factors);
  ASSERT_TRUE(by_factor.ok()) << by_factor.error().message;
  EXPECT_EQ(by_factor->spec.rope_scaling.kind, RopeScaling::Kind::factors);
  EXPECT_EQ(by_factor->spec.rope_scaling.factors.size(), 8u);
}

TEST(Gguf, an_untied_head_is_the_output_tensor) {
  GgufWriter w = tiny_gguf();
  w.add_f32("output.weight", {32, test::kTinyVocabulary});
  const std::string bytes = w.bytes();
  const auto model = read(bytes);
  ASSERT_TRUE(model.ok());
  EXPECT_FALSE(model->spec.tied);
  EXPECT_NE(model->tensors.output.data.data(), model->tensors.embedding.data.data());
}

struct Broken {
  const char* name;
  std::function<void(GgufWriter&)> change;
  const char* message;
  ErrorCode code = ErrorCode::invalid_file;
};

void expect_each_refused(const std::vector<Broken>& cases) {
  for (const Broken& c : cases) {
    GgufWriter w = tiny_gguf();
    c.change(w);
    const auto model = read(w);
    ASSERT_FALSE(model.ok()) << c.name;
    EXPECT_THAT(model.error().message, HasSubstr(c.message)) << c.name;
    EXPECT_THAT(model.error().message, HasSubstr("tiny.gguf")) << c.name;
    EXPECT_EQ(model.error().code, c.code) << c.name;
  }
}

TEST(Gguf, a_broken_container_is_refused_by_what_is_wrong) {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  expect_each_refused({
      {"magic", [](auto& w) { w.magic = "GGML"; }, "not a GGUF file"},
      {"version 2", [](auto& w) { w.version = 2; }, "version 2; supported: version 3", ErrorCode::unsupported},
      {"big-endian", [](auto& w) { w.version = 0x03000000; }, "is big-endian", ErrorCode::unsupported},
      {"too many pairs", [](auto& w) { w.states_pairs = kHuge; }, "metadata pairs, more than"},
      {"too many tensors", [](auto& w) { w.states_tensors = kHuge; }, "tensors, more than"},
      {"endless key", [](auto& w) { w.pairs[0].key = std::string(70000, 'k'); }, "key of 70000 bytes"},
      {"empty key", [](auto& w) { w.pairs[0].key = ""; }, "key of 0 bytes"},
      {"key twice", [](auto& w) { w.pairs.push_back(w.pairs[1]); }, "key general.name appears twice"},
      {"value type", [](auto& w) { w.set("x.y", 13, ""); }, "key x.y has value type 13, expected 0 to 12"},
      {"bool of 2", [](auto& w) { w.boolean("x.y", 2); }, "bool of value 2"},
      {"array of bool 7", [](auto& w) { w.template array<std::uint8_t>("x.y", 7, {0, 1, 7}); }, "neither 0 nor 1"},
      {"string beyond the end", [](auto& w) { w.set("x.y", 8, raw<std::uint64_t>(1u << 30)); }, "ends at byte"},
      {"string of 2^64 - 1", [](auto& w) { w.set("x.y", 8, raw(~std::uint64_t{0})); }, "ends at byte"},
      {"array beyond the end", [](auto& w) { w.set("x.y", 9, raw(4u) + raw<std::uint64_t>(1u << 30)); },
       "states 1073741824 elements"},
      {"array whose bytes overflow", [](auto& w) { w.set("x.y", 9, raw(10u) + raw(std::uint64_t{1} << 61)); },
       "elements, more than"},
      {"array of strings beyond the end", [](auto& w) { w.set("x.y", 9, raw(8u) + raw(~std::uint64_t{0})); },
       "elements, more than"},
      {"arrays too deep",
       [](auto& w) {
         std::string value;
         for (int i = 0; i < 6; ++i) value += raw(9u) + raw<std::uint64_t>(1);
         w.set("x.y", 9, value + raw(0u) + raw<std::uint64_t>(0));
       },
       "nests arrays deeper than 4"},
      {"alignment 0", [](auto& w) { w.u32("general.alignment", 0); }, "general.alignment is u32 0"},
      {"alignment 12", [](auto& w) { w.u32("general.alignment", 12); }, "general.alignment is u32 12"},
      {"alignment of a string", [](auto& w) { w.string("general.alignment", "32"); }, "general.alignment is a string"},
      {"tensor twice", [](auto& w) { w.tensors.push_back(w.tensors[3]); }, "tensor blk.0.attn_q.weight appears twice"},
      {"tensor without a name", [](auto& w) { w.tensors[3].name = ""; }, "name of 0 bytes"},
      {"tensor with a long name", [](auto& w) { w.tensors[3].name = std::string(65, 'n'); }, "name of 65 bytes"},
      {"no dimensions", [](auto& w) { w.tensors[3].dimensions = {}; }, "has 0 dimensions"},
      {"five dimensions", [](auto& w) { w.tensors[3].dimensions = {1, 1, 1, 1, 1}; }, "has 5 dimensions"},
      {"dimension 0", [](auto& w) { w.tensors[3].dimensions = {32, 0}; }, "has a dimension of 0"},
      {"rows of 0", [](auto& w) { w.tensors[3].dimensions = {0, 32}; }, "rows of 0 values"},
      {"product overflows", [](auto& w) { w.tensors[3].dimensions = {1u << 31, 1u << 31, 1u << 31, 1u << 31}; },
       "larger than the file"},
      {"one huge dimension", [](auto& w) { w.tensors[3].dimensions = {~std::uint64_t{0}}; }, "larger than the file"},
      {"type unknown", [](auto& w) { w.tensors[3].type = 77; }, "is of id 77; supported: F32, F16", ErrorCode::unsupported},
      {"type refused", [](auto& w) { w.tensors[3].type = 10; }, "attn_q.weight is Q2_K; supported", ErrorCode::unsupported},
      {"block", [](auto& w) { w.tensors[3].type = 12; }, "rows of 32 values, expected a multiple of 256 for Q4_K"},
      {"offset unaligned", [](auto& w) { w.tensors[3].offset = 33; }, "offset 33, expected a multiple of 32"},
      {"offset beyond the end", [](auto& w) { w.tensors[3].offset = 1 << 30; }, "needs 4096 bytes at offset 1073741824"},
      {"offset that overflows", [](auto& w) { w.tensors[3].offset = kHuge - 31; }, "needs 4096 bytes at offset"},
  });
}

TEST(Gguf, wrong_hyper_parameters_are_refused_by_key_and_expectation) {
  expect_each_refused({
      {"no architecture", [](auto& w) { w.erase("general.architecture"); },
       "key general.architecture: missing, expected a string"},
      {"architecture", [](auto& w) { w.string("general.architecture", "mamba"); },
       "mamba models are not supported; supported: llama, qwen2, qwen3", ErrorCode::unsupported},
      {"missing count", [](auto& w) { w.erase("llama.block_count"); }, "key llama.block_count: missing, expected an integer"},
      {"negative count", [](auto& w) { w.set("llama.block_count", 5, raw<std::int32_t>(-2)); }, "found a negative integer"},
      {"count of 0", [](auto& w) { w.u32("llama.block_count", 0); }, "expected an integer from 1 to 4096, found u32 0"},
      {"count as text", [](auto& w) { w.string("llama.block_count", "2"); }, "found a string"},
      {"heads by layer", [](auto& w) { w.template array<std::int32_t>("llama.attention.head_count", 5, {2, 2}); },
       "found an array of i32"},
      {"kv heads that do not divide", [](auto& w) { w.u32("llama.attention.head_count_kv", 3); }, "expected a multiple of the 3"},
      {"experts", [](auto& w) { w.u32("llama.expert_count", 8); }, "mixture-of-experts", ErrorCode::unsupported},
      {"split", [](auto& w) { w.set("split.count", 2, raw<std::uint16_t>(3)); },
       "split over several files", ErrorCode::unsupported},
      {"value length", [](auto& w) { w.u32("llama.attention.value_length", 8); },
       "differs from key_length", ErrorCode::unsupported},
      {"epsilon NaN", [](auto& w) { w.f32("llama.attention.layer_norm_rms_epsilon", std::numeric_limits<float>::quiet_NaN()); },
       "layer_norm_rms_epsilon: expected a number"},
      {"yarn", [](auto& w) { w.string("llama.rope.scaling.type", "yarn"); },
       "yarn; supported: none, linear", ErrorCode::unsupported},
      {"rope wider than a head", [](auto& w) { w.u32("llama.rope.dimension_count", 32); }, "32 rotated values of a head"},
      {"rope_freqs of another size", [](auto& w) { w.add_f32("rope_freqs.weight", {4}); }, "expected F32 1 x 8"},
      {"more layers than tensors", [](auto& w) { w.u32("llama.block_count", 4000); }, "states 4000 layers"},
      {"missing tensor", [](auto& w) { w.tensors[3].name = "renamed"; },
       "tensor blk.0.attn_q.weight is missing, expected 32 x 32"},
      {"shape", [](auto& w) { w.tensors[3].dimensions = {32, 16}; }, "attn_q.weight is 16 x 32, expected 32 x 32"},
      {"no embedding", [](auto& w) { w.erase_tensor("token_embd.weight"); },
       "token_embd.weight is missing; is this the model itself"},
      {"a tensor without a role", [](auto& w) { w.add_f32("blk.0.attn_output.bias", {32}); },
       "tensor blk.0.attn_output.bias has no place", ErrorCode::unsupported},
      {"quantised norm", [](auto& w) { w.tensor("output_norm.weight").type = 8; },
       "supported for a norm or a bias", ErrorCode::unsupported},
  });
}

TEST(Gguf, a_wrong_vocabulary_is_refused_by_key_and_token) {
  expect_each_refused({
      {"kind", [](auto& w) { w.string("tokenizer.ggml.model", "bert"); },
       "bert vocabularies are not supported", ErrorCode::unsupported},
      {"no tokens", [](auto& w) { w.erase("tokenizer.ggml.tokens"); },
       "tokenizer.ggml.tokens: expected an array of strings, found nothing"},
      {"fewer tokens",
       [](auto& w) {
         w.strings("tokenizer.ggml.tokens", {"a", "b", "c"});
         w.erase("tokenizer.ggml.token_type");
       },
       "3 tokens, expected 12 as the embedding has rows"},
      {"fewer types", [](auto& w) { w.template array<std::int32_t>("tokenizer.ggml.token_type", 5, {1}); },
       "expected an array of 12 integers"},
      {"type 9", [](auto& w) { w.template array<std::int32_t>("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>(12, 9)); },
       "token 0 has type 9, expected 0 to 6"},
      {"merge of one piece", [](auto& w) { w.strings("tokenizer.ggml.merges", {"a b", "ab"}); }, "merge 1 is not two pieces"},
      {"merge with nothing after the blank", [](auto& w) { w.strings("tokenizer.ggml.merges", {"a "}); },
       "merge 0 is not two pieces"},
      {"no merges", [](auto& w) { w.erase("tokenizer.ggml.merges"); }, "tokenizer.ggml.merges: expected an array of strings"},
      {"eos beyond the end", [](auto& w) { w.u32("tokenizer.ggml.eos_token_id", 12); },
       "eos_token_id: expected an integer from 0 to 11"},
      {"scores", [](auto& w) { w.string("tokenizer.ggml.model", "llama"); },
       "tokenizer.ggml.scores: expected an array of 12 f32"},
  });
}

// A small file could else make a device fill any amount of memory.
TEST(Gguf, tensors_that_overlap_are_refused_by_name) {
  expect_each_refused({
      {"the same bytes twice", [](auto& w) { w.tensor("blk.0.attn_k.weight").offset = 0; },
       "tensors blk.0.attn_k.weight and token_embd.weight overlap"},
      {"a part", [](auto& w) { w.tensor("output_norm.weight").offset = 12 * 32 * 4 - 32; },
       "tensors token_embd.weight and output_norm.weight overlap"},
  });
}

TEST(Gguf, every_beginning_of_a_file_is_refused) {
  const std::string whole = tiny_gguf().bytes();
  ASSERT_TRUE(read(whole).ok());
  const std::size_t metadata = whole.size() - 40000;
  for (std::size_t length = 0; length < whole.size(); length += length < metadata ? 1 : 97) {
    const auto model = read(whole.substr(0, length));
    ASSERT_FALSE(model.ok()) << length;
    ASSERT_TRUE(model.error().code == ErrorCode::invalid_file || model.error().code == ErrorCode::unsupported);
  }
}

TEST(Gguf, a_control_character_of_the_file_does_not_reach_the_message) {
  GgufWriter w = tiny_gguf();
  w.set("evil\x1b[31m\n", 13, "");
  const auto model = read(w);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().message.find('\x1b'), std::string::npos);
  EXPECT_EQ(model.error().message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace baton
