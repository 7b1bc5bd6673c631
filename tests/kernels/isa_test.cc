#include "kernels/isa.h"

#include <gtest/gtest.h>

namespace baton::kernels {
namespace {

TEST(Isa, is_present_where_the_cpu_has_all_of_its_features) {
  const std::string features = cpu_features() + " ";
  bool all = true;
  for (const char* feature : {"avx2 ", "fma "}) all = all && features.find(feature) != std::string::npos;
  EXPECT_EQ(isa_present(Isa::avx2), all) << features;
  for (const char* feature : {"avx512f ", "avx512bw ", "avx512vl ", "avx512dq ", "avx512vnni ", "avx512bf16 "}) {
    all = all && features.find(feature) != std::string::npos;
  }
  EXPECT_EQ(isa_present(Isa::avx512), all) << features;
}

}  // namespace
}  // namespace baton::kernels
