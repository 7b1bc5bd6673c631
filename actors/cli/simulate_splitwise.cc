#include <cstdio>

#include "actors/cli/simulate_flags.h"
#include "actors/cli/verbs.h"
#include "runtime/sim/compat/splitwise_report.h"

namespace baton::cli {

int simulate_splitwise(const SimulateFlags& flags) {
  if (!flags.prefill.empty() || !flags.decode.empty() || !flags.mixed.empty()) {
    return report({ErrorCode::invalid_argument, Scope::request,
                   "--prefill, --decode and --mixed belong to --compat distserve; for Splitwise's machines use --prompt and --token, or "
                   "--machines"});
  }
  const sim::splitwise::ClusterWords words{flags.model, flags.start_state, flags.scheduler, flags.prompt, flags.token, flags.machines};
  const auto cluster = sim::splitwise::make_cluster(words);
  if (!cluster) return report(cluster.error());
  const auto trace = sim::load_trace(flags.trace);
  if (!trace) return report(trace.error());
  const auto run = sim::splitwise::simulate(*cluster, *trace);
  if (!run) return report(run.error());
  if (!flags.requests.empty()) {
    const Status written = write_text(flags.requests, sim::to_csv(to_records(*cluster, *trace, *run)));
    if (!written) return report(written.error());
  }
  const auto summary = summarise(*cluster, *trace, *run, !flags.slo.empty());
  if (flags.json.empty()) {
    std::fputs(to_text(summary).c_str(), stdout);
    return kDone;
  }
  const Status written = write_text(flags.json, to_json(summary, words));
  return written ? kDone : report(written.error());
}

}  // namespace baton::cli
