#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/sim/compat/distserve_helpers.h"

namespace baton::test::distserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(std::string_view text) {
  const auto parsed = parse_workload(text, "w.json");
  return parsed.ok() ? "accepted" : parsed.error().message;
}

TEST(DistServeWorkload, reads_lengths_and_gaps) {
  const auto workload = parse_workload(R"([{"prompt_len": 353, "output_len": 236, "unit_interarrival_s": 0.0},
    {"unit_interarrival_s": 0.79587450816311, "note": "a } in \" a [ string", "output_len": 0, "prompt_len": 905}])", "w.json");
  ASSERT_TRUE(workload.ok()) << workload.error().message;
  ASSERT_EQ(workload->requests.size(), 2u);
  EXPECT_EQ(workload->requests[1].prompt, 905u);
  EXPECT_EQ(workload->requests[1].output, 0u);
  EXPECT_THAT(workload->unit_gaps, ElementsAre(0.0, 0.79587450816311));
}

TEST(DistServeWorkload, draws_the_gaps_that_numpy_draws_where_there_are_none) {
  const auto workload = parse_workload(R"([{"prompt_len": 1, "output_len": 1}, {"prompt_len": 2, "output_len": 2}])", "w.json");
  ASSERT_TRUE(workload.ok());
  EXPECT_EQ(workload->unit_gaps, poisson_unit_gaps(2));
  const auto gaps = poisson_unit_gaps(6);
  const double numpy[] = {0, 0.79587451, 1.25593076, 0.92322315, 0.78720115, 0.55104849};
  for (std::size_t i = 0; i < gaps.size(); ++i) EXPECT_NEAR(gaps[i], numpy[i], 5e-9) << i;
  EXPECT_TRUE(poisson_unit_gaps(0).empty());
}

TEST(DistServeWorkload, draws_the_very_gaps_of_the_authors_requests) {
  SKIP_WITHOUT_GOLDEN_DISTSERVE();
  const auto workload = load_workload(golden("search_requests_n300.json"));
  ASSERT_TRUE(workload.ok());
  const auto drawn = poisson_unit_gaps(300);
  ASSERT_EQ(workload->unit_gaps.size(), drawn.size());
  for (std::size_t i = 0; i < drawn.size(); ++i) EXPECT_DOUBLE_EQ(drawn[i], workload->unit_gaps[i]) << i;
}

TEST(DistServeWorkload, scales_the_gaps_by_the_rate) {
  std::vector<double> arrivals{9, 9, 9, 9};
  arrivals_at(2, {0, 1, 0.5}, arrivals);
  EXPECT_THAT(arrivals, ElementsAre(0, 500, 750));
}

TEST(DistServeWorkload, refuses_what_is_malformed_by_file_and_line) {
  const std::string good = R"({"prompt_len": 1, "output_len": 1, "unit_interarrival_s": 0})";
  EXPECT_THAT(refusal(""), StartsWith("w.json:1: a workload must be a list of requests; the form is [{\"prompt_len\": 353"));
  EXPECT_THAT(refusal("{}"), StartsWith("w.json:1: a workload must be a list"));
  EXPECT_THAT(refusal("[]"), StartsWith("w.json:1: this is no JSON object"));
  EXPECT_THAT(refusal("\n[\n1]"), StartsWith("w.json:3: this is no JSON object"));
  EXPECT_THAT(refusal("[" + good + ",\n" + good + ",\n]"), StartsWith("w.json:3: this is no JSON object"));
  EXPECT_THAT(refusal("[" + good + ",\n{\"prompt_len\": 1"), StartsWith("w.json:2: this is no JSON object"));
  EXPECT_THAT(refusal("[" + good + ",\n{\"a\": \"unended}]"), StartsWith("w.json:2: this is no JSON object"));
  EXPECT_THAT(refusal("[" + good + "\n" + good + "]"), StartsWith("w.json:2: here the list must go on with , or end with ]"));
  EXPECT_THAT(refusal("[" + good + "\n"), StartsWith("w.json:2: here the list must go on"));
  EXPECT_THAT(refusal("[" + good + "]\n\nx"), StartsWith("w.json:3: here the list has ended"));
  EXPECT_THAT(refusal("[" + good + "]" + std::string(1, '\0') + "x"), StartsWith("w.json:1: here the list has ended"));
  EXPECT_THAT(refusal(R"([{"prompt_len": 1e999, "output_len": 1}])"), StartsWith("w.json:1: this is no JSON object"));
}

TEST(DistServeWorkload, refuses_lengths_and_gaps_that_make_no_sense) {
  EXPECT_THAT(refusal(R"([{"output_len": 1}])"), StartsWith("w.json:1: \"prompt_len\" must be a number of tokens, at least 1"));
  for (const char* prompt : {"0", "-1", "1.5", "\"1\"", "null", "4294967296", "10000001"}) {
    EXPECT_THAT(refusal(fmt::format("[{{\"prompt_len\": {}, \"output_len\": 1}}]", prompt)), HasSubstr("\"prompt_len\" must be")) << prompt;
  }
  EXPECT_THAT(refusal(R"([{"prompt_len": 1}])"), HasSubstr("\"output_len\" must be a number of tokens"));
  for (const char* gap : {"-0.1", "1e10", "\"1\"", "null"}) {
    EXPECT_THAT(refusal(fmt::format("[{{\"prompt_len\": 1, \"output_len\": 1, \"unit_interarrival_s\": {}}}]", gap)),
                HasSubstr("\"unit_interarrival_s\" must be seconds")) << gap;
  }
  const char* mixed = "\"unit_interarrival_s\" must be in every request or in none";
  const std::string bare = R"({"prompt_len": 1, "output_len": 1})";
  const std::string timed = R"({"prompt_len": 1, "output_len": 1, "unit_interarrival_s": 1})";
  EXPECT_THAT(refusal("[" + bare + ", " + timed + "]"), HasSubstr(mixed));
  EXPECT_THAT(refusal("[" + timed + ", " + bare + "]"), HasSubstr(mixed));
}

TEST(DistServeWorkload, names_a_file_that_is_not_there) {
  EXPECT_EQ(load_workload("nowhere.json").error().message, "nowhere.json could not be read: is it there?");
  EXPECT_EQ(load_workload("nowhere.json").error().code, ErrorCode::io_error);
  EXPECT_FALSE(load_workload(".").ok());
}

}  // namespace
}  // namespace baton::test::distserve
