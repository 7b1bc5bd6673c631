#include "kernels/cpu/attention_body.h"
#include "kernels/cpu/lanes_scalar.h"

namespace baton::kernels {

void attention_scalar(const AttentionTile& tile) {
  attention_on<LanesScalar>(tile);
}

}  // namespace baton::kernels
