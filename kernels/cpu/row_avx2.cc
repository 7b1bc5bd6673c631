#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/row_body.h"

namespace baton::kernels {

const RowKernels kRowKernelsAvx2 = row_kernels_on<LanesAvx2>();

}  // namespace baton::kernels
