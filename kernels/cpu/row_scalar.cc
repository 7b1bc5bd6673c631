#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/row_body.h"

namespace baton::kernels {

const RowKernels kRowKernelsScalar = row_kernels_on<LanesScalar>();

}  // namespace baton::kernels
