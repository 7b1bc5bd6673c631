// e^x on lanes, the only one in the data path. Its operations are the specification, the same in every instruction set:
//   x = min(88, max(-86, x))                         a NaN stays one
//   t = fma(x, log2 e, 1.5 * 2^23), n = t - 1.5 * 2^23        n = round(x / ln 2), which stands in t's low bits
//   r = fma(n, -ln2_high, x);  r = fma(n, -ln2_low, r);  the polynomial below by Horner's rule;  times 2^n
// Within two units of the last place on the range; e^0 = 1 exactly. Below it stays at e^-86 = 4.5e-38: never 0, never
// subnormal. Coefficients: a minimax fit of degree 6 on [-ln 2 / 2, ln 2 / 2] with the first two fixed to 1.
#pragma once

#include "kernels/cpu/lanes_scalar.h"

namespace baton::kernels {

template <class Lanes>
[[gnu::always_inline]] inline Lanes exp(Lanes x) {
  const Lanes shift = Lanes::set(12582912.0f);
  x = Lanes::min(Lanes::set(88.0f), Lanes::max(Lanes::set(-86.0f), x));
  const Lanes shifted = Lanes::fma(x, Lanes::set(0x1.715476p0f), shift);
  const Lanes n = shifted - shift;
  Lanes r = Lanes::fma(n, Lanes::set(-0x1.62e4p-1f), x);  // 15 bits: the product is exact
  r = Lanes::fma(n, Lanes::set(-0x1.7f7d1cp-20f), r);
  Lanes p = Lanes::set(0x1.6a1a72p-10f);
  p = Lanes::fma(p, r, Lanes::set(0x1.123fc6p-7f));
  p = Lanes::fma(p, r, Lanes::set(0x1.555916p-5f));
  p = Lanes::fma(p, r, Lanes::set(0x1.55548ap-3f));
  p = Lanes::fma(p, r, Lanes::set(0x1.fffffcp-2f));
  p = Lanes::fma(p, r, Lanes::set(1.0f));
  p = Lanes::fma(p, r, Lanes::set(1.0f));
  return Lanes::scale_by_power(p, shifted);
}

}  // namespace baton::kernels
