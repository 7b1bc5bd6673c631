#include "kernels/matmul.h"

#include <algorithm>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/require.h"

namespace baton::kernels {
namespace {

// Rows whose activations stay in the second-level cache while all panels pass over them.
constexpr std::size_t kActivationCache = 384 * 1024;

}  // namespace

void matmul(const PackedWeight& weight, const Activations& x, const MatmulOut& out, Isa isa, Parallel& parallel) {
  BATON_REQUIRE(x.kind() == activation_kind(weight.type), "activations are prepared for the weights' type");
  BATON_REQUIRE(x.columns() == weight.columns, "activations have as many columns as the weights");
  BATON_REQUIRE(out.stride >= weight.rows || x.rows() <= 1, "rows of the output do not overlap");
  const auto run = isa == Isa::avx512 ? matmul_avx512 : isa == Isa::avx2 ? matmul_avx2 : matmul_scalar;
  const std::size_t panels = weight.panels();
  const std::size_t tasks = parallel.threads() == 1 ? 1 : std::min<std::size_t>(panels, 4 * parallel.threads());
  const std::size_t row_bytes = x.bytes_of_one_row();
  const std::size_t chunk = std::max<std::size_t>(1, kActivationCache / std::max<std::size_t>(1, row_bytes * kTileRows)) * kTileRows;
  parallel.run(tasks, [&](std::size_t task, unsigned) {
    for (std::size_t first = 0; first < x.rows(); first += chunk) {
      run({.type = weight.type,
           .columns = weight.columns,
           .output_rows = weight.rows,
           .panels = weight.data,
           .panel_bytes = weight.panel_bytes(),
           .first_panel = panels * task / tasks,
           .last_panel = panels * (task + 1) / tasks,
           .activations = x.group(first),
           .activation_bytes = row_bytes,
           .rows = std::min(chunk, x.rows() - first),
           .out = out.data + first * out.stride,
           .out_stride = out.stride,
           .accumulate = out.accumulate});
    }
  });
}

}  // namespace baton::kernels
