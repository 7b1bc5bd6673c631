// When an instance reports its load: on change, coalesced to 10 ms, and at every heartbeat. That its speed alone changed is no reason
// to: it goes with the next report. The driver sends the report to
// whom it knows: the scheduler and the gateways.
#pragma once

#include <optional>

#include "runtime/instance/instance_context.h"

namespace baton {

class LoadReporter {
 public:
  explicit LoadReporter(InstanceContext& context) : context_(context) {}

  // After every event; `gather` makes a LoadReport, and is called at most once in 10 ms.
  template <class Gather>
  void after_event(Gather gather, Instant now) {
    constexpr Duration kCoalesce = Milliseconds{10};
    if (looked_at_ && now < *looked_at_ + kCoalesce) {
      context_.deadlines.set(Wait::report, RequestId{}, *looked_at_ + kCoalesce);
      return;
    }
    looked_at_ = now;
    LoadReport load = gather();
    load.sequence = last_.sequence;
    last_.prefill_tokens_per_s = load.prefill_tokens_per_s;
    last_.decode_step_us = load.decode_step_us;
    if (!sent_at_ || load != last_ || now >= *sent_at_ + context_.options.report_interval) {
      ++load.sequence;
      last_ = load;
      sent_at_ = now;
      context_.out.add(load);
    }
    context_.deadlines.set(Wait::report, RequestId{}, *sent_at_ + context_.options.report_interval);
  }

  std::uint64_t sequence() const { return last_.sequence; }

 private:
  InstanceContext& context_;
  LoadReport last_;
  std::optional<Instant> sent_at_, looked_at_;
};

}  // namespace baton
