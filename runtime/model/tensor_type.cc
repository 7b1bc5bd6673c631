#include "runtime/model/loaded_model.h"

namespace baton {
namespace {

struct TypeFacts {
  const char* name;
  std::size_t block;    // values
  std::size_t bytes;    // of a block
};

constexpr TypeFacts facts(TensorType type) {
  switch (type) {
    case TensorType::f32: return {"F32", 1, 4};
    case TensorType::f16: return {"F16", 1, 2};
    case TensorType::bf16: return {"BF16", 1, 2};
    case TensorType::q8_0: return {"Q8_0", 32, 34};
    case TensorType::q4_0: return {"Q4_0", 32, 18};
    case TensorType::q4_1: return {"Q4_1", 32, 20};
    case TensorType::q4_k: return {"Q4_K", 256, 144};
    case TensorType::q5_k: return {"Q5_K", 256, 176};
    case TensorType::q6_k: return {"Q6_K", 256, 210};
  }
  return {"unknown", 1, 1};
}

}  // namespace

const char* to_string(TensorType type) { return facts(type).name; }
std::size_t block_of(TensorType type) { return facts(type).block; }
std::size_t bytes_of_row(TensorType type, std::size_t columns) {
  return columns / facts(type).block * facts(type).bytes;
}

}  // namespace baton
