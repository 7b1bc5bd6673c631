#include "kernels/isa.h"

#include <utility>

namespace baton::kernels {

bool isa_present(Isa isa) {
  // The compiler's run-time check asks the operating system too (XGETBV): a CPU flag alone does not make zmm registers usable.
  // Every CPU with AVX2 has F16C.
  switch (isa) {
    case Isa::scalar: return true;
    case Isa::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::avx512:
      return isa_present(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") &&
             __builtin_cpu_supports("avx512bf16");
  }
  return false;
}

Isa best_isa() {
  if (isa_present(Isa::avx512)) return Isa::avx512;
  return isa_present(Isa::avx2) ? Isa::avx2 : Isa::scalar;
}

std::string cpu_features() {
  const std::pair<const char*, bool> known[] = {
      {"avx2", __builtin_cpu_supports("avx2")},
      {"fma", __builtin_cpu_supports("fma")},
      {"avx512f", __builtin_cpu_supports("avx512f")},
      {"avx512bw", __builtin_cpu_supports("avx512bw")},
      {"avx512vl", __builtin_cpu_supports("avx512vl")},
      {"avx512dq", __builtin_cpu_supports("avx512dq")},
      {"avx512vnni", __builtin_cpu_supports("avx512vnni")},
      {"avx512bf16", __builtin_cpu_supports("avx512bf16")},
  };
  std::string features;
  for (const auto& [name, present] : known) {
    if (present) features += (features.empty() ? "" : " ") + std::string(name);
  }
  return features;
}

const char* to_string(Isa isa) {
  switch (isa) {
    case Isa::scalar: return "scalar";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
  }
  return "?";
}

std::optional<Isa> parse_isa(std::string_view name) {
  for (const Isa isa : kAllIsas) {
    if (name == to_string(isa)) return isa;
  }
  return std::nullopt;
}

}  // namespace baton::kernels
