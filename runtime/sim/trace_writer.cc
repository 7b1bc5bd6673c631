// Mooncake JSONL from a trace.
#include <spdlog/fmt/fmt.h>

#include <charconv>

#include "runtime/sim/trace_formats.h"

namespace baton::sim {
namespace {

// A text of milliseconds that seconds_of reads back to the same double of seconds.
std::string milliseconds(double seconds) {
  char text[64];
  const char* end = std::to_chars(text, text + sizeof text, seconds * 1000).ptr;
  const std::string plain(text, static_cast<std::size_t>(end - text));
  if (seconds_of(plain, 3) == seconds) return plain;
  // The product was rounded; the seconds' own digits, three powers of ten higher, are exact.
  end = std::to_chars(text, text + sizeof text, seconds, std::chars_format::scientific).ptr;
  const std::string_view written(text, static_cast<std::size_t>(end - text));
  const std::size_t exponent_at = written.find('e');
  std::string_view power = written.substr(exponent_at + 1);
  if (power.front() == '+') power.remove_prefix(1);
  int exponent = 0;
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  return fmt::format("{}e{}", written.substr(0, exponent_at), exponent + 3);
}

}  // namespace

std::string to_mooncake_jsonl(const Trace& trace) {
  std::string out;
  for (const TraceRequest& request : trace) {
    fmt::format_to(std::back_inserter(out), "{{\"timestamp\": {}, \"input_length\": {}, \"output_length\": {}, \"hash_ids\": [{}]}}\n",
                   milliseconds(request.arrival_s), request.prompt_tokens, request.output_tokens, fmt::join(request.blocks, ", "));
  }
  return out;
}

}  // namespace baton::sim
