#include "kernels/cpu/attention_body.h"
#include "kernels/cpu/lanes_avx512.h"

namespace baton::kernels {

void attention_avx512(const AttentionTile& tile) {
  attention_on<LanesAvx512>(tile);
}

}  // namespace baton::kernels
