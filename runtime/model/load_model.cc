#include <array>
#include <utility>

#include "runtime/base/hash.h"
#include "runtime/model/hf_files.h"
#include "runtime/model/mapped_file.h"
#include "runtime/model/model_parts.h"

namespace baton {
namespace {

class ReadModel final : public LoadedModel {
 public:
  ReadModel(ModelParts parts, const LoadOptions& options) : parts_(std::move(parts)) {
    if (options.weights) fingerprint_ = compute_fingerprint();
  }

  const ModelSpec& spec() const override { return parts_.spec; }
  const TensorView& embedding() const override { return parts_.tensors.embedding; }
  const TensorView& output_norm() const override { return parts_.tensors.output_norm; }
  const TensorView& output() const override { return parts_.tensors.output; }
  const LayerTensors& layer(std::uint32_t index) const override {
    CHECK(index < parts_.tensors.layers.size(), "layer {} of {}", index, parts_.tensors.layers.size());
    return parts_.tensors.layers[index];
  }
  const VocabularySource& vocabulary() const override { return parts_.vocabulary; }
  const std::string& chat_template() const override { return parts_.chat_template; }
  std::uint64_t fingerprint() const override { return fingerprint_ != 0 ? fingerprint_ : compute_fingerprint(); }

 private:
  // Over what the arithmetic depends on: neither names, nor the vocabulary, nor where a tensor lies in its file.
  std::uint64_t compute_fingerprint() const {
    std::vector<std::uint64_t> digests;
    const ModelSpec& s = parts_.spec;
    const RopeScaling& r = s.rope_scaling;
    const std::array<std::uint64_t, 11> sizes{s.layers, s.embedding, s.feed_forward, s.heads, s.kv_heads, s.head_dim, s.rope_dim,
                                              s.vocabulary, static_cast<std::uint64_t>(s.rope_pairing),
                                              static_cast<std::uint64_t>(r.kind), r.original_context};
    const std::array<double, 5> reals{s.norm_epsilon, s.rope_base, r.factor, r.low_freq_factor, r.high_freq_factor};
    digests.push_back(hash64(s.architecture));
    digests.push_back(hash64(std::as_bytes(std::span(sizes))));
    digests.push_back(hash64(std::as_bytes(std::span(reals))));
    digests.push_back(hash64(std::as_bytes(std::span(r.factors))));
    const auto add = [&](const TensorView& t) { digests.push_back(hash64(t.data, static_cast<std::uint64_t>(t.type) + 1)); };
    add(parts_.tensors.embedding);
    add(parts_.tensors.output_norm);
    if (!s.tied) add(parts_.tensors.output);
    for (const LayerTensors& l : parts_.tensors.layers) {
      for (const TensorView* t : {&l.attn_norm, &l.q, &l.k, &l.v, &l.o, &l.ffn_norm, &l.gate, &l.up, &l.down, &l.q_bias, &l.k_bias,
                                  &l.v_bias, &l.q_norm, &l.k_norm}) {
        add(*t);
      }
    }
    const std::uint64_t whole = hash64(std::as_bytes(std::span(digests)));
    return whole == 0 ? 1 : whole;   // 0 stands for "not computed yet"
  }

  ModelParts parts_;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace

Status check_spec(const ModelSpec& spec, const std::string& file) {
  const auto invalid = [&](std::string message) { return Error{ErrorCode::invalid_file, Scope::instance, file + ": " + message}; };
  if (spec.heads % spec.kv_heads != 0) {
    return invalid(fmt::format("{} attention heads, expected a multiple of the {} key/value heads", spec.heads, spec.kv_heads));
  }
  if (spec.head_dim < 2 || spec.head_dim > 1024 || spec.head_dim % 2 != 0) {
    return invalid(fmt::format("a head size of {}, expected an even number from 2 to 1024", spec.head_dim));
  }
  if (spec.rope_dim > spec.head_dim || spec.rope_dim % 2 != 0) {
    return invalid(fmt::format("{} rotated values of a head, expected an even number up to its size, {}", spec.rope_dim,
                               spec.head_dim));
  }
  return ok();
}

std::unique_ptr<LoadedModel> make_loaded_model(ModelParts parts, const LoadOptions& options) {
  return std::make_unique<ReadModel>(std::move(parts), options);
}

Result<std::unique_ptr<LoadedModel>> load_model(const std::string& path, const LoadOptions& options) {
  if (is_directory(path)) {
    auto parts = read_hf_directory(path);
    if (!parts) return parts.error();
    return make_loaded_model(std::move(*parts), options);
  }
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  auto parts = read_gguf_model((*file)->bytes(), path);
  if (!parts) return parts.error();
  parts->owners.push_back(*file);
  return make_loaded_model(std::move(*parts), options);
}

}  // namespace baton
