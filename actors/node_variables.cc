#include "actors/node_variables.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "kernels/isa.h"

namespace baton {
namespace {

std::string_view value_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

Error refused(std::string message) { return Error{ErrorCode::invalid_argument, Scope::instance, std::move(message)}; }

}  // namespace

Result<NodeVariables> node_variables() {
  NodeVariables variables;
  if (const std::string_view isa = value_of("BATON_ISA"); !isa.empty()) {
    if (!kernels::parse_isa(isa)) return refused(fmt::format("BATON_ISA is \"{}\"; it may be scalar, avx2 or avx512", isa));
    variables.isa = isa;
  }
  if (const std::string_view fault = value_of("BATON_FAULT"); !fault.empty()) {
    constexpr std::string_view kFlip = "flip_bit:";
    const std::string_view digits = fault.substr(std::min(kFlip.size(), fault.size()));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), variables.flip_bit_in_piece);
    const bool number = error == std::errc{} && end == digits.data() + digits.size() && variables.flip_bit_in_piece > 0;
    if (!fault.starts_with(kFlip) || !number) {
      return refused(fmt::format("BATON_FAULT is \"{}\"; it may be flip_bit:N, with N from 1", fault));
    }
  }
  return variables;
}

}  // namespace baton
