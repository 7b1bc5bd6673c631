#include "kernels/cpu/attention_body.h"
#include "kernels/cpu/lanes_avx2.h"

namespace baton::kernels {

void attention_avx2(const AttentionTile& tile) {
  attention_on<LanesAvx2>(tile);
}

}  // namespace baton::kernels
