#include "runtime/text/servable_model.h"

#include "runtime/text/chat_template.h"
#include "runtime/text/make_tokenizer.h"

namespace baton {
namespace {

std::uint64_t bytes_of(const LoadedModel& model) {
  std::uint64_t bytes = model.embedding().data.size() + model.output_norm().data.size();
  if (!model.spec().tied) bytes += model.output().data.size();
  for (std::uint32_t i = 0; i < model.spec().layers; ++i) {
    const LayerTensors& l = model.layer(i);
    for (const TensorView* tensor : {&l.attn_norm, &l.q, &l.k, &l.v, &l.o, &l.ffn_norm, &l.gate, &l.up, &l.down, &l.q_bias, &l.k_bias,
                                     &l.v_bias, &l.q_norm, &l.k_norm}) {
      bytes += tensor->data.size();
    }
  }
  return bytes;
}

}  // namespace

Result<ServableModel> check_servable(const std::string& path, const std::string& chat_template, std::uint32_t max_model_len) {
  const auto model = load_model(path, {.weights = false});
  if (!model) return model.error();
  const auto tokenizer = make_tokenizer((*model)->vocabulary());
  if (!tokenizer) return tokenizer.error();
  ServableModel checked{.spec = (*model)->spec(), .weight_bytes = bytes_of(**model), .no_chat = {}};
  if (const auto length = choose_length(checked.spec, max_model_len); !length) return length.error();
  const auto chosen = choose_chat_template((*model)->chat_template(), chat_template, **tokenizer);
  if (!chosen) checked.no_chat = chosen.error();
  return checked;
}

}  // namespace baton
