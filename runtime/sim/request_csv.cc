#include "runtime/sim/request_csv.h"

#include <charconv>

namespace baton::sim {

std::string exact(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return std::string(text, end);
}

std::string to_csv(const std::vector<RequestRecord>& records) {
  std::string csv = "request_id,arrival_s,prompt_tokens,output_tokens,ttft_ms,tpot_ms,e2e_ms,prefill_instance,decode_instance,outcome\n";
  for (const RequestRecord& r : records) {
    csv += r.id + ',' + exact(r.arrival_s) + ',' + std::to_string(r.prompt_tokens) + ',' + std::to_string(r.output_tokens) + ',' +
           exact(r.ttft_ms) + ',' + exact(r.tpot_ms) + ',' + exact(r.e2e_ms) + ',' + r.prefill_instance + ',' + r.decode_instance + ',' +
           r.outcome + '\n';
  }
  return csv;
}

}  // namespace baton::sim
