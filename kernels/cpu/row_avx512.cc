#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/row_body.h"

namespace baton::kernels {

const RowKernels kRowKernelsAvx512 = row_kernels_on<LanesAvx512>();

}  // namespace baton::kernels
