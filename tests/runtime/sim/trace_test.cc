// The four formats as files spell them, and every way in which one can be wrong.
#include "runtime/sim/trace.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "runtime/base/random.h"
#include "runtime/sim/trace_formats.h"
#include "tests/runtime/sim/trace_helpers.h"

namespace baton::sim {
namespace {

using test::shared_folder;

Trace read(std::string_view text) {
  auto trace = parse_trace(text, "t");
  EXPECT_TRUE(trace.ok()) << trace.error().message;
  return trace.ok() ? *trace : Trace{};
}

TEST(Trace, reads_azure_csv_with_any_line_end_and_the_first_row_at_zero) {
  const Trace expected = {{"0", 0, 4808, 10, {}}, {"1", 0.052, 3180, 8, {}}, {"2", 86400.0000001, 110, 27, {}}};
  const std::string rows[] = {"TIMESTAMP,ContextTokens,GeneratedTokens", "2023-12-31 18:17:03.9799600,4808,10",
                              "2023-12-31 18:17:04.0319600,3180,8", "2024-01-01 18:17:03.9799601,110,27"};
  EXPECT_EQ(read(rows[0] + "\r\n" + rows[1] + "\r\n" + rows[2] + "\r\n" + rows[3]), expected);
  EXPECT_EQ(read(rows[0] + "\n" + rows[1] + "\n\n" + rows[2] + "\n" + rows[3] + "\n\n"), expected);
  EXPECT_EQ(read("\xef\xbb\xbf" + rows[0] + "\n" + rows[1] + "\n" + rows[2] + "\n" + rows[3]), expected);
}

TEST(Trace, reads_azure_times_with_zones_and_without_fraction_and_columns_in_any_order) {
  const Trace expected = {{"0", 0, 100, 5, {}}, {"1", 0.5, 200, 0, {}}, {"2", 1, 300, 7, {}}, {"3", 1, 400, 8, {}}, {"4", 2, 1, 1, {}}};
  EXPECT_EQ(read("TIMESTAMP,NumImages,GeneratedTokens,ContextTokens\n"
                 "2024-05-10 00:00:00+00:00,0,5,100\n"
                 "2024-05-10 00:00:00.500000+00:00,3,0,200\n"
                 "2024-05-10T00:00:01Z,3,7,300\n"
                 "2024-05-10 02:00:01.0+02:00,3,8,400\n"
                 "2024-05-09 17:00:02-0700,3, 1 ,1\n"),
            expected);
}

TEST(Trace, reads_splitwise_csv_by_column_name_and_keeps_the_ids) {
  const Trace expected = {{"7", 1, 374, 44, {}}, {"x", 5.314579, 396, 109, {}}};
  EXPECT_EQ(read("request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n"
                 "7,2,0,1.000000,1,374,44\nx,2,0,5.314579,1,396,109\n"),
            expected);
  EXPECT_EQ(read("token_size,prompt_size,arrival_timestamp,request_id\r\n44.0,374.0,1,7\r\n109,396,5.314579,x\r\n"), expected);
}

TEST(Trace, reads_mooncake_jsonl_in_milliseconds_with_or_without_block_ids) {
  const Trace expected = {{"0", 0, 1024, 5, {0, 1}}, {"1", 0.012345, 3, 0, {18446744073709551615u}}, {"2", 3, 7, 1, {}}};
  EXPECT_EQ(read("{\"timestamp\": 0, \"input_length\": 1024, \"output_length\": 5, \"hash_ids\": [0, 1]}\n"
                 "{\"output_length\":0,\"hash_ids\":[18446744073709551615],\"input_length\":3,\"timestamp\":12.345}\r\n"
                 "\n"
                 "  {\"type\": {\"a\": [1, {\"b\": \"}\\\"\"}], \"c\": null}, "
                 "\"timestamp\": 3e3, \"input_length\": 7, \"output_length\": 1}"),
            expected);
}

TEST(Trace, reads_distserve_json_over_one_line_or_many) {
  const Trace expected = {{"0", 0, 512, 4, {}}, {"1", 0.01, 1024, 3, {}}};
  EXPECT_EQ(read("[{\"start_time\": 0.000, \"prompt_len\": 512,  \"output_len\": 4},\n {\"start_time\": 0.010, \"prompt_len\": 1024, "
                 "\"output_len\": 3}\n]\n"),
            expected);
  EXPECT_EQ(read("[{\"start_time\":-0.0,\"prompt_len\":512,\"output_len\":4},{\"start_time\":1e-2,\"prompt_len\":1024,\"output_len\":3}]"),
            expected);
}

struct Wrong {
  std::string text;
  std::string message;                     // the error begins with it
};

const std::string kAzure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,10,1\n";
const std::string kSplitwise = "request_id,arrival_timestamp,batch_size,prompt_size,token_size\n0,1.5,1,10,2\n";
const std::string kMooncake = "{\"timestamp\": 5, \"input_length\": 10, \"output_length\": 1, \"hash_ids\": [0]}\n";
const std::string kDistServe = "[{\"start_time\": 5, \"prompt_len\": 10, \"output_len\": 1}";

TEST(Trace, refuses_what_is_wrong_with_file_and_line) {
  const std::vector<Wrong> cases = {
      {"", "t:1: there is nothing in it; a trace is Azure CSV ("},
      {" \r\n\t\n", "t:1: there is nothing in it; "},
      {"hello\n1,2\n", "t:1: \"hello\" begins no trace that is known; a trace is Azure CSV ("},
      {"TIMESTAMP,ContextToken,GeneratedTokens\n",
       "t:1: there is no column ContextTokens (is \"ContextToken\" meant to be it?); the header has \"TIMESTAMP,ContextToken,Gener"},
      {"TIMESTAMP,ContextTokens,GeneratedTokens\r\n", "t:1: a header and no requests; "},
      {kAzure + "2023-11-16 18:17:04,10\n", "t:3: 2 fields where the header names 3: \"2023-11-16 18:17:04,10\""},
      {kAzure + "2023-11-16 18:17:04,10,1,1\n", "t:3: 4 fields where the header names 3: "},
      {kAzure + "2023-02-29 18:17:04,10,1\n",
       "t:3: TIMESTAMP must be a time such as 2023-11-16 18:17:03.9799600, not \"2023-02-29 18:17:04\""},
      {kAzure + "2023-11-16 18:17:04.,10,1\n", "t:3: TIMESTAMP must be a time such as "},
      {kAzure + "2023-11-16 24:00:00,10,1\n", "t:3: TIMESTAMP must be a time such as "},
      {kAzure + "2023-11-16 18:17:04+15:00,10,1\n", "t:3: TIMESTAMP must be a time such as "},
      {kAzure + "9999-11-16 18:17:04,10,1\n", "t:3: TIMESTAMP must be a time such as "},
      {kAzure + "\n2023-11-16 18:17:03.96,10,1\n",
       "t:4: \"2023-11-16 18:17:03.96\" is before the row above it; sort the rows by TIMESTAMP"},
      {kAzure + "2023-11-16 18:17:04,-10,1\n", "t:3: ContextTokens must be a whole number from 1 to 1000000000, not \"-10\""},
      {kAzure + "2023-11-16 18:17:04,0,1\n", "t:3: ContextTokens must be a whole number from 1 to 1000000000, not \"0\""},
      {kAzure + "2023-11-16 18:17:04,10,1e3\n", "t:3: GeneratedTokens must be a whole number from 0 to 1000000000, not \"1e3\""},
      {kAzure + "2023-11-16 18:17:04,10,99999999999999999999\n",
       "t:3: GeneratedTokens must be a whole number from 0 to 1000000000, not \"9999"},
      {"request_id,arrival_timestamp,prompt_size\n", "t:1: there is no column token_size"},
      {kSplitwise + "1,nan,1,10,2\n", "t:3: arrival_timestamp must be a time in seconds, from 0 to 9e+09 seconds, not \"nan\""},
      {kSplitwise + "1,-1,1,10,2\n", "t:3: arrival_timestamp must be a time in seconds, from 0 to 9e+09 seconds, not \"-1\""},
      {kSplitwise + "1,1.4,1,10,2\n", "t:3: \"1.4\" is before the row above it; sort the rows by arrival_timestamp"},
      {kSplitwise + "0,2,1,10,2\n", "t:3: request_id \"0\" has appeared before; ids are unique"},
      {kSplitwise + ",2,1,10,2\n", "t:3: request_id is empty; number the requests"},
      {kSplitwise + "1,2,4,10,2\n", "t:3: batch_size must be 1, not \"4\": write a batch as that many rows"},
      {kSplitwise + "1,2,1,10.5,2\n", "t:3: prompt_size must be a whole number from 1 to 1000000000, not \"10.5\""},
      {kMooncake + "{\"timestamp\": 5, \"input_length\": 10, \"output_lenght\": 1}\n",
       "t:2: request 1 has no output_length (is \"output_lenght\" meant to be it?); each has timestamp, input_length and output_length"},
      {kMooncake + "{\"timestamp\": 4, \"input_length\": 10, \"output_length\": 1}\n",
       "t:2: request 1 arrives before the one above it; sort the requests by timestamp"},
      {kMooncake + "{\"timestamp\": \"6\", \"input_length\": 10, \"output_length\": 1}\n",
       "t:2: timestamp must be a time in milliseconds, from 0 to 9e+09 seconds, not \"\"6\"\""},
      {kMooncake + "{\"timestamp\": 1e300, \"input_length\": 10, \"output_length\": 1}\n", "t:2: timestamp must be a time in milliseconds"},
      {kMooncake + "{\"timestamp\": 6, \"input_length\": [10], \"output_length\": 1}\n",
       "t:2: input_length must be a whole number from 1 to 1000000000, not \"[\""},
      {kMooncake + "{\"timestamp\": 6, \"timestamp\": 7, \"input_length\": 10, \"output_length\": 1}\n",
       "t:2: \"timestamp\" is given twice"},
      {kMooncake + "{\"timestamp\": 6, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1, 2]}\n",
       "t:2: request 1 has 2 blocks for 1 tokens; a block holds at least one"},
      {kMooncake + "{\"timestamp\": 6, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [-1]}\n",
       "t:2: a block id of hash_ids must be a whole number from 0 to 2^64 - 1, not \"-1\""},
      {kMooncake + "{\"timestamp\": 6, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": 3}\n",
       "t:2: hash_ids must be a list [...] of block ids"},
      {kMooncake + "{\"timestamp\": 6, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1\n", "t:2: this is not JSON; "},
      {kMooncake + "{\"timestamp\": 6, \"input_length\": 1, \"output_length\": 1} {}\n", "t:2: one request a line, but \"{}\" follows it"},
      {kMooncake + "[]\n", "t:2: this is not JSON; the trace has an object {...} for each request"},
      {kDistServe, "t:1: this is not JSON; the trace has a list [...] of requests"},
      {kDistServe + "\n,\n{\"start_time\": 4, \"prompt_len\": 1, \"output_len\": 1}]",
       "t:3: request 1 arrives before the one above it; sort the requests by start_time"},
      {kDistServe + "\n,{\"start_time\": 4, \"prompt_len\": 1, \n\"output_len\": true}]",
       "t:3: output_len must be a whole number from 0 to 1000000000, not \"true\""},
      {kDistServe + "]\n{}", "t:2: the list of requests ends, but \"{}\" follows it"},
      {"[1]", "t:1: this is not JSON; the trace has an object {...} for each request"},
      {"[]", "t:1: an empty list; a trace has at least one request"},
  };
  for (const Wrong& c : cases) {
    const auto trace = parse_trace(c.text, "t");
    ASSERT_FALSE(trace.ok()) << c.text;
    EXPECT_EQ(trace.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(trace.error().message.substr(0, c.message.size()), c.message);
  }
}

TEST(Trace, names_a_file_that_is_not_there_or_is_empty) {
  const auto missing = load_trace("no such trace.csv");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_EQ(missing.error().message, "no such trace.csv: cannot open: No such file or directory");
  EXPECT_EQ(load_trace("/").error().code, ErrorCode::io_error);
  const std::string empty = ::testing::TempDir() + "baton_empty_trace.csv";
  std::ofstream{empty};
  EXPECT_TRUE(load_trace(empty).error().message.starts_with(empty + ":1: there is nothing in it; ")) << load_trace(empty).error().message;
  std::remove(empty.c_str());
}

TEST(Trace, survives_every_truncation_and_thousands_of_changed_bytes) {
  const std::string more_azure = kAzure + "2023-11-16 18:17:04.1+00:00,20,2\r\n";
  const std::string more_mooncake = kMooncake + "{\"x\": {\"y\": [[], {}, \"\\\"\"]}, "
                                    "\"timestamp\": 6.5e0, \"input_length\": 10, \"output_length\": 1}";
  Random random{4};
  for (const std::string& whole : {more_azure, kSplitwise, more_mooncake, kDistServe + "]"}) {
    ASSERT_TRUE(parse_trace(whole, "t").ok());
    for (std::size_t length = 0; length < whole.size(); ++length) (void)parse_trace(std::string_view(whole).substr(0, length), "t");
    for (int i = 0; i < 5000; ++i) {
      std::string changed = whole;
      for (std::uint64_t n = 0; n <= random.below(4); ++n) {
        static constexpr std::string_view kBytes = "{}[]\",:0159-+.eE\\\n\r ZT";
        char& byte = changed[random.below(changed.size())];
        byte = random.below(4) == 0 ? static_cast<char>(random.next()) : kBytes[random.below(kBytes.size())];
      }
      const auto trace = parse_trace(changed, "t");
      EXPECT_TRUE(trace.ok() || trace.error().message.starts_with("t:")) << trace.error().message;
    }
  }
}

TEST(Trace, stops_at_values_nested_without_end) {
  const std::string deep = "{\"x\": " + std::string(1'000'000, '[');
  EXPECT_FALSE(parse_trace(deep, "t").ok());
}

TEST(Trace, written_as_mooncake_jsonl_reads_back_equal) {
  Random random{7};
  Trace trace;
  double at = 0;
  for (int i = 0; i < 2000; ++i) {
    at += random.below(3) == 0 ? static_cast<double>(random.below(4000)) / 1000 : random.unit();
    const auto prompt = static_cast<std::uint32_t>(4 + random.below(9)), output = static_cast<std::uint32_t>(random.below(9));
    trace.push_back({std::to_string(i), at, prompt, output, {}});
    for (std::uint64_t n = random.below(4); n > 0; --n) trace.back().blocks.push_back(random.next());
  }
  EXPECT_EQ(read(to_mooncake_jsonl(trace)), trace);
  EXPECT_EQ(to_mooncake_jsonl({{"0", 27.5, 6758, 500, {0, 1}}}),
            "{\"timestamp\": 27500, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n");
}

double mean(const Trace& trace, std::uint32_t TraceRequest::*field) {
  double sum = 0;
  for (const TraceRequest& request : trace) sum += request.*field;
  return sum / static_cast<double>(trace.size());
}

TEST(PublishedTraces, have_the_rows_means_and_durations_that_their_sheets_state) {
  SKIP_WITHOUT_SHARED();
  const auto code = load_trace(shared_folder() + "/traces/azure_llm_2023_code.csv");
  ASSERT_TRUE(code.ok()) << code.error().message;
  EXPECT_EQ(code->size(), 8819u);
  EXPECT_EQ((*code)[2], (TraceRequest{"2", 0.098189, 110, 27, {}}));
  EXPECT_EQ(code->back(), (TraceRequest{"8818", 3435.948056, 549, 173, {}}));
  EXPECT_NEAR(mean(*code, &TraceRequest::prompt_tokens), 2047.85, 0.005);
  const auto conversation = load_trace(shared_folder() + "/traces/azure_llm_2023_conv.csv");
  ASSERT_TRUE(conversation.ok()) << conversation.error().message;
  EXPECT_EQ(conversation->size(), 19366u);
  EXPECT_NEAR(mean(*conversation, &TraceRequest::output_tokens), 211.13, 0.005);
  const auto mooncake = load_trace(shared_folder() + "/traces/mooncake_conversation.jsonl");
  ASSERT_TRUE(mooncake.ok()) << mooncake.error().message;
  EXPECT_EQ(mooncake->size(), 12031u);
  EXPECT_EQ(mooncake->back().arrival_s, 3536.999);
  EXPECT_NEAR(mean(*mooncake, &TraceRequest::prompt_tokens), 12035.06, 0.005);
  for (const TraceRequest& request : *mooncake) {
    ASSERT_EQ(request.blocks.size(), (request.prompt_tokens + kTraceBlockTokens - 1) / kTraceBlockTokens);
  }
}

TEST(PublishedTraces, of_the_golden_runs_are_read) {
  SKIP_WITHOUT_SHARED();
  const auto five = load_trace(shared_folder() + "/golden/distserve/trace5.json");
  ASSERT_TRUE(five.ok()) << five.error().message;
  const Trace expected = {
      {"0", 0, 512, 4, {}}, {"1", 0.01, 1024, 3, {}}, {"2", 0.05, 128, 5, {}}, {"3", 0.3, 2000, 2, {}}, {"4", 0.305, 64, 6, {}}};
  EXPECT_EQ(*five, expected);
  const auto thousand = load_trace(shared_folder() + "/golden/splitwise/azure_conv_first1000.csv");
  ASSERT_TRUE(thousand.ok()) << thousand.error().message;
  EXPECT_EQ(thousand->size(), 1000u);
  EXPECT_EQ((*thousand)[1], (TraceRequest{"1", 5.314579, 396, 109, {}}));
}

}  // namespace
}  // namespace baton::sim
