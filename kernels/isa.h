// The instruction sets the CPU kernels exist for. Every kernel has a scalar version, which is its specification, and twins that
// give the same bits; which one runs is chosen when the program starts, so one binary runs on any x86-64 machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace baton::kernels {

enum class Isa : std::uint8_t {
  scalar,
  avx2,     // with FMA and F16C
  avx512,   // F, BW, VL, DQ, VNNI and BF16: Zen 4, Sapphire Rapids and later
};
inline constexpr Isa kAllIsas[] = {Isa::scalar, Isa::avx2, Isa::avx512};

bool isa_present(Isa isa);   // on this CPU, under this operating system
Isa best_isa();              // the last one of kAllIsas that is present
const char* to_string(Isa isa);
std::string cpu_features();  // of those that the kernels are compiled for, what this CPU has: "avx2 fma avx512f"
std::optional<Isa> parse_isa(std::string_view name);

}  // namespace baton::kernels
