// A run of SplitwiseSim on a trace: the same requests at the same instants on the same machines. A small model of its own, because
// the authors' semantics differ from what Baton does (the shape of their event queue, ageing, an oracle of output lengths, transfers
// without contention); every other simulation drives the production cores.
//
// Times: TTFT is the prompt's completion, without the transfer; E2E the last token's; both from arrival. The authors' TBT is
// (E2E - TTFT) / T, all tokens counted. A request that never finds memory, or is not done when the authors' clock stops (86,400 s),
// stays unfinished. Thread: none; the same input gives the same bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/sim/compat/splitwise_cluster.h"
#include "runtime/sim/request_csv.h"
#include "runtime/sim/trace.h"

namespace baton::sim::splitwise {

struct Served {
  bool placed = false;                     // it arrived before the clock stopped
  bool has_first_token = false;
  bool completed = false;
  double ttft_s = 0;                       // from here on only what the flags above say is there
  double e2e_s = 0;
  std::uint32_t prompt_machine = 0;        // numbers, into Cluster::machines
  std::uint32_t token_machine = 0;
};

struct Outcome {
  std::vector<Served> requests;            // in trace order
  double end_s = 0;                        // when the last event was
  std::uint64_t transfers = 0;             // started
};

// Errors: invalid_argument (a trace that SplitwiseSim cannot take: an arrival that is not after 0 or out of order, no prompt, fewer
// than two output tokens, an id that comes twice), naming the request.
Result<Outcome> simulate(const Cluster& cluster, const Trace& trace);

// Milliseconds; not a number where there is none.
std::vector<RequestRecord> to_records(const Cluster& cluster, const Trace& trace, const Outcome& run);

}  // namespace baton::sim::splitwise
