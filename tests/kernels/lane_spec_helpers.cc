#include "tests/kernels/lane_spec_helpers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace baton::kernels {

bool equal_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

float specified_fold(const float (&lanes)[16]) {
  float fold[16];
  std::copy(std::begin(lanes), std::end(lanes), fold);
  for (int width : {8, 4, 2, 1}) {
    for (int i = 0; i < width; ++i) fold[i] += fold[i + width];
  }
  return fold[0];
}

float specified_exp(float x) {
  x = std::min(88.0f, std::max(-86.0f, x));
  const float n = std::fma(x, 0x1.715476p0f, 12582912.0f) - 12582912.0f;
  float r = std::fma(n, -0x1.62e4p-1f, x);
  r = std::fma(n, -0x1.7f7d1cp-20f, r);
  float p = 0x1.6a1a72p-10f;
  for (const float c : {0x1.123fc6p-7f, 0x1.555916p-5f, 0x1.55548ap-3f, 0x1.fffffcp-2f, 1.0f, 1.0f})
    p = std::fma(p, r, c);
  return std::ldexp(p, static_cast<int>(n));
}

std::vector<float> specified_attention(const std::vector<float>& q, const std::vector<float>& k,
                                       const std::vector<float>& v, std::size_t count) {
  const std::size_t dim = q.size();
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  float largest = -std::numeric_limits<float>::infinity(), total[16] = {};
  std::vector<float> acc(dim, 0.0f);
  for (std::size_t base = 0; base < count; base += 64) {
    const std::size_t end = std::min(count, base + 64);
    std::vector<float> s;
    float most = largest;
    for (std::size_t j = base; j < end; ++j) {
      float sum = 0.0f;
      for (std::size_t d = 0; d < dim; ++d) sum = std::fma(q[d] * scale, k[j * dim + d], sum);
      s.push_back(sum);
      most = std::max(most, sum);
    }
    const float correction = specified_exp(largest - most);
    largest = most;
    for (float& t : total) t *= correction;
    for (float& a : acc) a *= correction;
    for (std::size_t j = base; j < end; ++j) {
      const float w = specified_exp(s[j - base] - largest);
      total[j % 16] += w;
      for (std::size_t d = 0; d < dim; ++d) acc[d] = std::fma(w, v[j * dim + d], acc[d]);
    }
  }
  const float factor = 1.0f / specified_fold(total);
  for (float& a : acc) a *= factor;
  return acc;
}

}  // namespace baton::kernels
