// A model file, read and checked: hyper-parameters, tensors by role, vocabulary and chat template as they stand in the file.
// From a GGUF v3 file or a Hugging Face directory (sharded safetensors). Immutable; tensors point into the mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/result.h"

namespace baton {

enum class TensorType : std::uint8_t { f32, f16, bf16, q8_0, q4_0, q4_1, q4_k, q5_k, q6_k };
const char* to_string(TensorType type);
std::size_t bytes_of_row(TensorType type, std::size_t columns);        // columns: a multiple of the type's block
std::size_t block_of(TensorType type);                                 // values in a block: 1, 32 or 256

// A matrix [rows][columns], rows contiguous: `rows` outputs of `columns` inputs; a vector has rows = 1.
struct TensorView {
  TensorType type = TensorType::f32;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::span<const std::byte> data;       // aligned to the element, little-endian; empty: the model has no such tensor
  bool present() const { return !data.empty(); }
};

enum class RopePairing : std::uint8_t { interleaved, half };           // (2i, 2i+1): GGUF llama; (i, i + D/2): Hugging Face, qwen

struct RopeScaling {
  enum class Kind : std::uint8_t { none, linear, llama3, factors } kind = Kind::none;
  float factor = 1.0f;
  float low_freq_factor = 1.0f;
  float high_freq_factor = 4.0f;
  std::uint32_t original_context = 8192;
  std::vector<float> factors;            // per pair, divides the frequency (GGUF's rope_freqs.weight)
};

struct ModelSpec {
  std::string name;
  std::string architecture;              // llama, qwen2, qwen3
  std::uint32_t layers = 0;
  std::uint32_t embedding = 0;
  std::uint32_t feed_forward = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t rope_dim = 0;            // rotated part of a head; equal to head_dim unless the file says less
  std::uint32_t vocabulary = 0;
  std::uint32_t context = 0;             // tokens
  std::uint32_t sliding_window = 0;      // 0: none; a model with one is served up to the window only
  float norm_epsilon = 1e-5f;
  double rope_base = 10000.0;
  RopePairing rope_pairing = RopePairing::interleaved;
  RopeScaling rope_scaling;
  bool tied = false;                     // the output head is the embedding table

  std::uint32_t longest_context() const; // tokens of the longest request: the context, or the window where that is less
};

// The length to serve, in tokens: what is asked for, or the longest where that is 0. Errors: invalid_argument, more than the longest:
// attention sees the whole context, so a model that was trained with a window is right only up to it.
Result<std::uint32_t> choose_length(const ModelSpec& spec, std::uint32_t asked);

struct LayerTensors {
  TensorView attn_norm, q, k, v, o, ffn_norm, gate, up, down;
  TensorView q_bias, k_bias, v_bias;     // qwen2
  TensorView q_norm, k_norm;             // qwen3: RMS norm per head
};

// As the file has it; runtime/text makes a Tokenizer of it.
struct VocabularySource {
  enum class Kind : std::uint8_t { byte_level_bpe, sentencepiece, none } kind = Kind::none;
  enum class TokenKind : std::uint8_t { normal, unknown, control, user_defined, unused, byte };
  std::vector<std::string> pieces;       // by id; byte-level BPE in the byte alphabet's spelling
  std::vector<TokenKind> kinds;          // by id
  std::vector<float> scores;             // sentencepiece; none where its merges are stated
  std::vector<std::pair<std::string, std::string>> merges;             // by rank; sentencepiece: only from tokenizer.json
  std::string pre_tokenizer;             // GGUF's tokenizer.ggml.pre, or "" with `splits` from tokenizer.json
  struct Split {                         // one pass of tokenizer.json's pre-tokeniser, in order; matches become pieces of their own
    enum class Kind : std::uint8_t { digits, digit_groups, regex, byte_level_gpt2 } kind = Kind::regex;
    std::string pattern;                 // of a regex
    bool individual_digits = false;      // of digits: \p{N} one by one, else runs of them
  };
  std::vector<Split> splits;             // empty: pre_tokenizer counts
  bool ignore_merges = false;
  // Blanks that the text does not have. First the normaliser's, before each piece of text between the special tokens, also where
  // one stands (SentencePiece's dummy prefix); then the pre-tokeniser's, where none stands: before what begins the text, or before
  // each piece between added tokens of any kind.
  bool prepend_space = false;
  bool marks_spaces = false;             // the normaliser writes a blank as U+2581, which strips as no white space
  enum class PrefixSpace : std::uint8_t { never, first, always } prefix_space = PrefixSpace::never;
  bool split_at_spaces = false;          // sentencepiece: nothing merges over a blank's front
  struct AddedToken {
    TokenId token = 0;
    bool strip_left = false;             // takes the white space before it
    bool strip_right = false;            // and behind it
    bool normalized = false;             // looked for after the normaliser, and as that writes it
  };
  std::vector<AddedToken> added;         // those of the control and user-defined ones that are not just found in the text
  bool nfc = false;                      // text is brought to Unicode's normalisation form C first (Qwen)
  bool add_bos = false;
  bool add_eos = false;
  std::optional<TokenId> bos;
  std::vector<TokenId> eos;              // end of sequence, end of turn
  std::optional<TokenId> unknown;
};

class LoadedModel {
 public:
  virtual ~LoadedModel() = default;
  virtual const ModelSpec& spec() const = 0;
  virtual const TensorView& embedding() const = 0;
  virtual const TensorView& output_norm() const = 0;
  virtual const TensorView& output() const = 0;                        // the embedding when tied
  virtual const LayerTensors& layer(std::uint32_t index) const = 0;
  virtual const VocabularySource& vocabulary() const = 0;
  virtual const std::string& chat_template() const = 0;                // Jinja text; empty: none
  virtual std::uint64_t fingerprint() const = 0;                       // hash over hyper-parameters and all tensor bytes
};

struct LoadOptions {
  bool weights = true;                   // false (a gateway): tensors are checked, but their bytes are not read, so that
                                         // fingerprint() is computed at each call
};

// `path`: a .gguf file, or a directory with config.json and *.safetensors. Errors: not_found, invalid_file (with what and where),
// unsupported (an architecture or type, by name and with those that are supported).
Result<std::unique_ptr<LoadedModel>> load_model(const std::string& path, const LoadOptions& options = {});

}  // namespace baton
