// The summary of a run, from records made by hand.
#include "runtime/sim/virtual_report.h"

#include <gtest/gtest.h>

#include <cmath>

namespace baton::test {
namespace {

using namespace sim;

constexpr Instant at_ms(std::int64_t ms) { return {ms * 1'000'000}; }

// One within both SLOs, one with a slow token, one of a single token, one that was refused.
VirtualRun made_run() {
  VirtualRun run;
  run.instances = {{.name = "prefill_0", .busy = Milliseconds{500}, .steps = 3},
                   {.name = "decode_0", .busy = Milliseconds{1000}, .steps = 20}};
  run.requests = {{at_ms(0), at_ms(100), at_ms(500), 5, 0, 1, std::nullopt},
                  {at_ms(200), at_ms(400), at_ms(1200), 5, 0, 1, std::nullopt},
                  {at_ms(300), at_ms(600), at_ms(600), 1, 0, 1, std::nullopt},
                  {at_ms(400), {}, {}, 0, kNoInstance, kNoInstance, ErrorCode::queue_full}};
  run.end = at_ms(2000);
  run.kv_bytes_moved = 3e9;
  run.transfers = 2;
  run.transferring = Milliseconds{90};
  return run;
}

Trace made_trace() {
  return {{"a", 5, 10, 5, {}}, {"b", 5.2, 20, 5, {}}, {"c", 5.3, 30, 1, {}}, {"d", 5.4, 40, 7, {}}};
}

TEST(VirtualReport, makes_a_row_of_each_request) {
  EXPECT_EQ(to_csv(to_records(made_trace(), made_run())),
            "request_id,arrival_s,prompt_tokens,output_tokens,ttft_ms,tpot_ms,e2e_ms,prefill_instance,decode_instance,outcome\n"
            "a,5,10,5,100,100,500,prefill_0,decode_0,completed\n"
            "b,5.2,20,5,200,200,1000,prefill_0,decode_0,completed\n"
            "c,5.3,30,1,300,0,300,prefill_0,decode_0,completed\n"
            "d,5.4,40,7,0,0,0,,,queue_full\n");
}

TEST(VirtualReport, judges_every_request_by_both_slos_and_takes_quantiles_of_the_completed) {
  const VirtualRun run = made_run();
  const VirtualSummary summary = summarise(run, to_records(made_trace(), run), {300, 150});
  EXPECT_EQ(summary.requests, 4u);
  EXPECT_EQ(summary.completed, 3u);
  EXPECT_EQ(summary.outcomes, (std::map<std::string, std::size_t>{{"completed", 3}, {"queue_full", 1}}));
  EXPECT_EQ(summary.attainment, 0.5);
  EXPECT_EQ(summary.goodput, 1.0);
  EXPECT_EQ(summary.requests_per_s, 1.5);
  EXPECT_EQ(summary.ttft_ms.p50, 200);
  EXPECT_EQ(summary.tpot_ms.mean, 150);                  // without the one of a single token
  EXPECT_EQ(summary.e2e_ms.mean, 600);
  EXPECT_EQ(summary.transfer_share, 0.05);
  EXPECT_EQ(summary.instances[0].utilisation, 0.25);
  EXPECT_EQ(summary.instances[1].utilisation, 0.5);
}

TEST(VirtualReport, counts_all_completed_requests_where_there_is_no_slo) {
  const VirtualRun run = made_run();
  const VirtualSummary summary = summarise(run, to_records(made_trace(), run), {});
  EXPECT_EQ(summary.attainment, 0.75);
  EXPECT_NE(to_json(summary, {{"profile", "p"}}).find("\"ttft_ms\": null"), std::string::npos);
  EXPECT_EQ(to_json(summary, {{"profile", "p"}}).rfind("{\n  \"profile\": \"p\",\n  \"requests\": 4,", 0), 0u);
}

TEST(VirtualReport, has_no_quantiles_of_a_run_in_which_nothing_completed) {
  VirtualRun run = made_run();
  for (VirtualRequest& request : run.requests) request.error = ErrorCode::queue_full;
  const VirtualSummary summary = summarise(run, to_records(made_trace(), run), {});
  EXPECT_TRUE(std::isnan(summary.ttft_ms.p50));
  EXPECT_EQ(summary.attainment, 0);
  EXPECT_NE(to_json(summary, {}).find("\"e2e_ms\": null"), std::string::npos);
  EXPECT_EQ(to_text(summary).find("nan"), std::string::npos);
}

}  // namespace
}  // namespace baton::test
