// The angles by which rotary embedding turns each pair of a head: position * frequency, and their cosines and sines in
// float.
//
// Computed in double from + - * / and fma alone, each exactly rounded, so every machine that runs this code has the
// same bits; a library's sin or pow may choose another version for another CPU. Their bits enter the model's
// fingerprint all the same. Sources: RoFormer (Su et al., 2021); linear scaling (Chen et al., 2023); Llama 3.1's
// scaling by wavelength, as its config describes it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/loaded_model.h"

namespace baton {

class RopeAngles {
 public:
  explicit RopeAngles(const ModelSpec& spec);

  std::size_t pairs() const { return frequencies_.size(); }             // of a head: rope_dim / 2
  std::span<const double> frequencies() const { return frequencies_; }  // radians per position, scaling applied
  void row(std::uint32_t position, float* cos, float* sin) const;       // [pairs] each
  std::uint64_t fingerprint() const;

 private:
  std::vector<double> frequencies_;
};

struct SineCosine {
  double sine, cosine;
};
SineCosine sine_cosine(double angle);  // angle >= 0; absolute error below 1e-15 + 2e-16 * angle

}  // namespace baton
