#include "tests/runtime/device/tiny_model_helpers.h"

#include <cmath>
#include <cstring>
#include <deque>
#include <random>

#include "kernels/half.h"
#include "kernels/quant.h"
#include "runtime/device/linear.h"

namespace baton {
namespace {

using Bytes = std::vector<std::byte>;

void put(Bytes& bytes, std::size_t at, std::uint16_t value) {
  std::memcpy(bytes.data() + at, &value, 2);
}
void put_half(Bytes& bytes, std::size_t at, float value) {
  put(bytes, at, kernels::half_from_float(value));
}

// Values of deviation about `deviation`: drawn for float types; random quants under fitting scales for the others.
Bytes random_matrix(TensorType type, std::size_t rows, std::size_t columns, float deviation, float mean,
                    std::mt19937_64& random) {
  Bytes bytes(rows * bytes_of_row(type, columns));
  std::normal_distribution<float> normal{mean, deviation};
  if (block_of(type) == 1) {
    for (std::size_t i = 0; i < rows * columns; ++i) {
      const float value = normal(random);
      if (type == TensorType::f32) std::memcpy(bytes.data() + i * 4, &value, 4);
      if (type == TensorType::bf16) put(bytes, i * 2, kernels::bf16_from_float(value));
      if (type == TensorType::f16) put_half(bytes, i * 2, value);
    }
    return bytes;
  }
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() >> 24);
  const std::size_t block = bytes.size() / (rows * columns / block_of(type));
  for (std::size_t at = 0; at < bytes.size(); at += block) {
    const float size = deviation * (0.5f + static_cast<float>(random() % 1024) / 1024.0f);
    switch (type) {
      case TensorType::q8_0:
        put_half(bytes, at, size / 74.0f);
        break;
      case TensorType::q4_0:
        put_half(bytes, at, size / 4.6f);
        break;
      case TensorType::q4_1:
        put_half(bytes, at, size / 4.6f), put_half(bytes, at + 2, -7.5f * size / 4.6f);
        break;
      case TensorType::q4_k:
        put_half(bytes, at, size / 240.0f), put_half(bytes, at + 2, size / 32.0f);
        break;
      case TensorType::q5_k:
        put_half(bytes, at, size / 480.0f), put_half(bytes, at + 2, size / 32.0f);
        break;
      case TensorType::q6_k:
        put_half(bytes, at + 208, size / 1350.0f);
        break;
      default:
        break;
    }
  }
  return bytes;
}

class TinyModel final : public LoadedModel {
 public:
  explicit TinyModel(const TinyOptions& options) : random_(options.seed) {
    spec_ = {.name = "tiny",
             .architecture = options.architecture,
             .layers = options.layers,
             .embedding = options.embedding,
             .feed_forward = options.feed_forward,
             .heads = options.heads,
             .kv_heads = options.kv_heads,
             .head_dim = options.head_dim,
             .rope_dim = options.rope_dim,
             .vocabulary = options.vocabulary,
             .context = options.context,
             .norm_epsilon = 1e-5f,
             .rope_base = options.rope_base,
             .rope_pairing = options.pairing,
             .rope_scaling = options.scaling,
             .tied = options.tied};
    const std::uint32_t e = spec_.embedding, f = spec_.feed_forward, q = spec_.heads * spec_.head_dim,
                        kv = spec_.kv_heads * spec_.head_dim;
    embedding_ = matrix(options.table, spec_.vocabulary, e, 2.0f);
    output_ = options.tied ? embedding_ : matrix(options.table, spec_.vocabulary, e, 2.0f);
    output_norm_ = vector(e, 0.1f, 1.0f);
    for (std::uint32_t i = 0; i < spec_.layers; ++i) {
      LayerTensors layer;
      layer.attn_norm = vector(e, 0.1f, 1.0f);
      layer.ffn_norm = vector(e, 0.1f, 1.0f);
      layer.q = matrix(options.linear, q, e, 1.5f);
      layer.k = matrix(options.linear, kv, e, 1.5f);
      layer.v = matrix(options.value, kv, e, 1.0f);
      layer.o = matrix(options.linear, e, q, 1.0f);
      layer.gate = matrix(options.linear, f, e, 1.0f);
      layer.up = matrix(options.value, f, e, 1.0f);
      layer.down = matrix(options.linear, e, f, 1.0f);
      if (options.architecture == "qwen2") {
        layer.q_bias = vector(q, 0.5f, 0.0f);
        layer.k_bias = vector(kv, 0.5f, 0.0f);
        layer.v_bias = vector(kv, 0.5f, 0.0f);
      } else if (options.architecture == "qwen3") {
        layer.q_norm = vector(spec_.head_dim, 0.2f, 1.2f);
        layer.k_norm = vector(spec_.head_dim, 0.2f, 1.2f);
      }
      layers_.push_back(layer);
    }
  }

  const ModelSpec& spec() const override { return spec_; }
  const TensorView& embedding() const override { return embedding_; }
  const TensorView& output_norm() const override { return output_norm_; }
  const TensorView& output() const override { return output_; }
  const LayerTensors& layer(std::uint32_t index) const override { return layers_[index]; }
  const VocabularySource& vocabulary() const override { return vocabulary_; }
  const std::string& chat_template() const override { return chat_template_; }
  std::uint64_t fingerprint() const override { return 42; }

 private:
  TensorView matrix(TensorType type, std::uint32_t rows, std::uint32_t columns, float size) {
    storage_.push_back(
        random_matrix(type, rows, columns, size / std::sqrt(static_cast<float>(columns)), 0.0f, random_));
    return {.type = type, .rows = rows, .columns = columns, .data = storage_.back()};
  }
  TensorView vector(std::uint32_t size, float deviation, float mean) {
    storage_.push_back(random_matrix(TensorType::f32, 1, size, deviation, mean, random_));
    return {.type = TensorType::f32, .rows = 1, .columns = size, .data = storage_.back()};
  }

  std::mt19937_64 random_;
  std::deque<Bytes> storage_;
  ModelSpec spec_;
  TensorView embedding_, output_, output_norm_;
  std::vector<LayerTensors> layers_;
  VocabularySource vocabulary_;
  std::string chat_template_;
};

using Vector = std::vector<double>;

Vector times(const TensorView& weight, const Vector& x) {
  const std::vector<float> w = dequantised(weight);
  Vector out(weight.rows, 0.0);
  for (std::size_t n = 0; n < weight.rows; ++n) {
    for (std::size_t k = 0; k < weight.columns; ++k) out[n] += static_cast<double>(w[n * weight.columns + k]) * x[k];
  }
  return out;
}

void add_to(Vector& x, const Vector& y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

Vector floats_of(const TensorView& vector) {
  const std::vector<float> values = dequantised(vector);
  return {values.begin(), values.end()};
}

// The part [begin, begin + weight's size) of x, normed in place.
void norm(Vector& x, std::size_t begin, const TensorView& weight, double epsilon) {
  const Vector w = floats_of(weight);
  double squares = 0.0;
  for (std::size_t i = 0; i < w.size(); ++i) squares += x[begin + i] * x[begin + i];
  const double factor = 1.0 / std::sqrt(squares / static_cast<double>(w.size()) + epsilon);
  for (std::size_t i = 0; i < w.size(); ++i) x[begin + i] *= factor * w[i];
}

double frequency(const ModelSpec& spec, std::size_t pair) {
  const RopeScaling& s = spec.rope_scaling;
  const double f = std::pow(spec.rope_base, -2.0 * static_cast<double>(pair) / spec.rope_dim);
  if (s.kind == RopeScaling::Kind::linear) return f / s.factor;
  if (s.kind == RopeScaling::Kind::factors) return f / s.factors[pair];
  if (s.kind == RopeScaling::Kind::none) return f;
  const double wavelength = 2.0 * M_PI / f, low = s.original_context / s.low_freq_factor,
               high = s.original_context / s.high_freq_factor;
  if (wavelength < high) return f;
  if (wavelength > low) return f / s.factor;
  const double smooth =
      (s.original_context / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1.0 - smooth) * f / s.factor + smooth * f;
}

void rotate(Vector& x, std::size_t heads, std::size_t position, const ModelSpec& spec) {
  const bool neighbours = spec.rope_pairing == RopePairing::interleaved;
  for (std::size_t head = 0; head < heads; ++head) {
    for (std::size_t i = 0; i < spec.rope_dim / 2; ++i) {
      const double angle = static_cast<double>(position) * frequency(spec, i);
      double& a = x[head * spec.head_dim + (neighbours ? 2 * i : i)];
      double& b = x[head * spec.head_dim + (neighbours ? 2 * i + 1 : i + spec.rope_dim / 2)];
      const double turned = a * std::cos(angle) - b * std::sin(angle);
      b = a * std::sin(angle) + b * std::cos(angle);
      a = turned;
    }
  }
}

struct Past {
  std::vector<Vector> k, v;
};

Vector attend(const Vector& q, const Past& past, const ModelSpec& spec) {
  Vector out(q.size(), 0.0);
  const std::size_t dim = spec.head_dim, group = spec.heads / spec.kv_heads;
  for (std::size_t head = 0; head < spec.heads; ++head) {
    const std::size_t from = head / group * dim;
    Vector weight;
    double most = -INFINITY, total = 0.0;
    for (const Vector& k : past.k) {
      double dot = 0.0;
      for (std::size_t d = 0; d < dim; ++d) dot += q[head * dim + d] * k[from + d];
      weight.push_back(dot / std::sqrt(static_cast<double>(dim)));
      most = std::max(most, weight.back());
    }
    for (double& w : weight) total += w = std::exp(w - most);
    for (std::size_t j = 0; j < weight.size(); ++j) {
      for (std::size_t d = 0; d < dim; ++d) out[head * dim + d] += weight[j] / total * past.v[j][from + d];
    }
  }
  return out;
}

Vector with_bias(Vector x, const TensorView& bias) {
  if (bias.present()) add_to(x, floats_of(bias));
  return x;
}

void run_layer(const LayerTensors& layer, const ModelSpec& spec, std::size_t position, Vector& x, Past& past) {
  Vector h = x;
  norm(h, 0, layer.attn_norm, spec.norm_epsilon);
  Vector q = with_bias(times(layer.q, h), layer.q_bias), k = with_bias(times(layer.k, h), layer.k_bias);
  for (std::size_t head = 0; layer.q_norm.present() && head < spec.heads; ++head)
    norm(q, head * spec.head_dim, layer.q_norm, spec.norm_epsilon);
  for (std::size_t head = 0; layer.k_norm.present() && head < spec.kv_heads; ++head)
    norm(k, head * spec.head_dim, layer.k_norm, spec.norm_epsilon);
  rotate(q, spec.heads, position, spec);
  rotate(k, spec.kv_heads, position, spec);
  past.k.push_back(std::move(k));
  past.v.push_back(with_bias(times(layer.v, h), layer.v_bias));
  add_to(x, times(layer.o, attend(q, past, spec)));
  h = x;
  norm(h, 0, layer.ffn_norm, spec.norm_epsilon);
  Vector gate = times(layer.gate, h);
  const Vector up = times(layer.up, h);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1.0 + std::exp(-gate[i])) * up[i];
  add_to(x, times(layer.down, gate));
}

}  // namespace

std::unique_ptr<LoadedModel> make_tiny_model(const TinyOptions& options) {
  return std::make_unique<TinyModel>(options);
}

const std::vector<TinyOptions>& tiny_models() {
  using T = TensorType;
  using Kind = RopeScaling::Kind;
  const RopeScaling linear{.kind = Kind::linear, .factor = 4.0f};
  const RopeScaling llama3{
      .kind = Kind::llama3, .factor = 8.0f, .low_freq_factor = 1.0f, .high_freq_factor = 4.0f, .original_context = 64};
  const RopeScaling factors{.kind = Kind::factors, .factors = {1.0f, 1.5f, 2.0f, 2.5f, 3.0f, 4.0f, 8.0f, 16.0f}};
  static const std::vector<TinyOptions> all{
      {.name = "llama_f32"},
      {.name = "llama_bf16_untied",
       .linear = T::bf16,
       .table = T::bf16,
       .heads = 6,
       .kv_heads = 2,
       .head_dim = 32,
       .tied = false,
       .seed = 2},
      {.name = "llama_f16_odd_sizes",
       .linear = T::f16,
       .embedding = 52,
       .feed_forward = 70,
       .heads = 3,
       .kv_heads = 1,
       .head_dim = 20,
       .rope_dim = 12,
       .seed = 3},
      {.name = "llama_many_heads", .heads = 9, .kv_heads = 1, .head_dim = 10, .pairing = RopePairing::half, .seed = 4},
      {.name = "llama_linear_scaling", .scaling = linear, .seed = 5},
      {.name = "llama_llama3_scaling", .scaling = llama3, .seed = 6},
      {.name = "llama_scaling_factors", .scaling = factors, .seed = 7},
      {.name = "qwen2_f32", .architecture = "qwen2", .pairing = RopePairing::half, .rope_base = 1e6, .seed = 8},
      {.name = "qwen3_bf16",
       .architecture = "qwen3",
       .linear = T::bf16,
       .heads = 4,
       .kv_heads = 4,
       .head_dim = 48,
       .pairing = RopePairing::half,
       .seed = 9},
      {.name = "qwen2_interleaved", .architecture = "qwen2", .seed = 10},
      {.name = "qwen3_interleaved", .architecture = "qwen3", .head_dim = 20, .seed = 16},
      {.name = "llama_q4_1_q8_0", .linear = T::q4_1, .table = T::q8_0, .seed = 11},
      {.name = "llama_q4_0_q8_0", .linear = T::q4_0, .value = T::q8_0, .table = T::q4_0, .seed = 12},
      {.name = "llama_q4_k_q6_k",
       .linear = T::q4_k,
       .value = T::q6_k,
       .table = T::q6_k,
       .embedding = 256,
       .feed_forward = 256,
       .heads = 4,
       .head_dim = 64,
       .seed = 13},
      {.name = "llama_q5_k_bf16",
       .linear = T::q5_k,
       .value = T::bf16,
       .table = T::q5_k,
       .embedding = 256,
       .feed_forward = 256,
       .heads = 2,
       .kv_heads = 2,
       .head_dim = 128,
       .seed = 14},
      {.name = "llama_q8_0_many_slices", .linear = T::q8_0, .value = T::f32, .table = T::q8_0, .layers = 1, .seed = 15},
  };
  return all;
}

std::vector<TokenId> random_tokens(std::size_t count, std::uint32_t vocabulary, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) token = static_cast<TokenId>(random() % vocabulary);
  return tokens;
}

std::vector<double> reference_logits(const LoadedModel& model, const std::vector<TokenId>& tokens) {
  const ModelSpec& spec = model.spec();
  const Vector table = floats_of(model.embedding());
  std::vector<Past> past(spec.layers);
  std::vector<double> out;
  for (std::size_t position = 0; position < tokens.size(); ++position) {
    const auto row = table.begin() + static_cast<long>(tokens[position]) * spec.embedding;
    Vector x{row, row + spec.embedding};
    for (std::uint32_t i = 0; i < spec.layers; ++i) run_layer(model.layer(i), spec, position, x, past[i]);
    norm(x, 0, model.output_norm(), spec.norm_epsilon);
    const Vector logits = times(model.output(), x);
    out.insert(out.end(), logits.begin(), logits.end());
  }
  return out;
}

}  // namespace baton
