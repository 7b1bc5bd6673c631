#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/sim/embedded.h"
#include "tests/runtime/sim/compat/distserve_helpers.h"

namespace baton::test::distserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DistServeProfile, is_inside_the_program) {
  EXPECT_THAT(std::string(sim::embedded("profiles/distserve_models.yaml")), HasSubstr("opt-175b"));
  EXPECT_TRUE(sim::embedded("profiles/distserve_model.yaml").empty());
}

TEST(DistServeProfile, knows_the_speed_of_13b_and_66b_at_the_tps_that_were_measured) {
  const auto tps = [](const char* name, Engine engine) {
    std::vector<std::uint32_t> all;
    for (const Coefficients& c : model(name).coefficients[static_cast<std::size_t>(engine)]) all.push_back(c.tp);
    return all;
  };
  for (const Engine engine : {Engine::distserve, Engine::vllm}) {
    EXPECT_THAT(tps("opt-13b", engine), ElementsAre(1, 2, 4));
    EXPECT_THAT(tps("opt-66b", engine), ElementsAre(2, 3, 4, 8));
    EXPECT_THAT(tps("opt-175b", engine), ElementsAre());
  }
  const Coefficients& slowest = model("opt-66b").coefficients[static_cast<std::size_t>(Engine::vllm)][0];
  EXPECT_EQ(slowest.prefill.last, -7.1141486747694485e-06);
  EXPECT_EQ(slowest.decode_large.per_token, 0.006200132376379982);
}

struct MemoryTable {
  const char* model;
  std::vector<std::uint32_t> tps, pps;
  std::vector<std::uint64_t> tokens;       // a row for each tp
};
// max_num_tokens.csv of the release; 0 where it has no row.
const MemoryTable kMemory[] = {
    {"opt-13b", {1, 2, 4, 5, 8}, {1, 2, 4, 5, 8},
     {66144, 163008, 356752, 453616, 744224,
      163008, 356752, 744224, 937968, 1519184,
      356736, 744224, 1519168, 1906656, 3069088,
      453600, 937952, 1906640, 2390992, 3844032,
      744208, 1519168, 3069072, 3844032, 6168896}},
    {"opt-66b", {1, 2, 3, 4, 6, 8}, {1, 2, 4, 8},
     {0, 11600, 78512, 212320,
      11600, 78512, 212320, 479952,
      45056, 145408, 346128, 747568,
      78496, 212320, 479936, 1015200,
      145408, 346128, 747568, 1550448,
      212304, 479936, 1015184, 2085696}},
    {"opt-175b", {1, 2, 3, 4, 6, 8}, {1, 2, 3, 4, 6, 8},
     {0, 0, 0, 0, 26208, 59536,
      0, 0, 26208, 59536, 126160, 192800,
      0, 26208, 76192, 126160, 226112, 326064,
      0, 59520, 126160, 192800, 326064, 459328,
      26208, 126160, 226112, 326064, 525968, 725872,
      59520, 192784, 326048, 459328, 725856, 992400}},
};

TEST(DistServeProfile, has_all_76_rows_of_the_authors_memory_table_by_formula) {
  int rows = 0;
  for (const MemoryTable& table : kMemory) {
    for (std::size_t t = 0; t < table.tps.size(); ++t) {
      for (std::size_t p = 0; p < table.pps.size(); ++p) {
        const std::uint64_t expected = table.tokens[t * table.pps.size() + p];
        EXPECT_EQ(max_num_tokens(profile(), model(table.model), {table.tps[t], table.pps[p]}), expected)
            << table.model << " " << table.tps[t] << " " << table.pps[p];
        rows += expected > 0;
      }
    }
  }
  EXPECT_EQ(rows, 76);
}

TEST(DistServeProfile, has_no_memory_for_degrees_that_do_not_divide_or_that_the_table_does_not_reach) {
  EXPECT_EQ(max_num_tokens(profile(), model("opt-13b"), {3, 1}), 0u);
  EXPECT_EQ(max_num_tokens(profile(), model("opt-13b"), {1, 3}), 0u);
  EXPECT_EQ(max_num_tokens(profile(), model("opt-13b"), {10, 1}), 0u);
  EXPECT_EQ(max_num_tokens(profile(), model("opt-66b"), {1, 16}), 0u);
}

TEST(DistServeParallelism, reads_degrees_in_any_order_and_takes_1_for_what_is_left_out) {
  EXPECT_EQ(*parse_parallelism("tp=2,pp=3", "--prefill"), (Parallelism{2, 3}));
  EXPECT_EQ(*parse_parallelism("pp=3,tp=2", "--prefill"), (Parallelism{2, 3}));
  EXPECT_EQ(*parse_parallelism("tp=4", "--prefill"), (Parallelism{4, 1}));
  EXPECT_EQ(*parse_parallelism("pp=4", "--prefill"), (Parallelism{1, 4}));
  EXPECT_EQ(to_string(Parallelism{2, 3}), "tp=2,pp=3");
}

TEST(DistServeParallelism, refuses_anything_else_and_shows_the_form) {
  for (const char* text : {"", ",", "tp", "tp=", "tp=0", "tp=-1", "tp=1x", "tp= 1", "tp=1,", ",tp=1", "tp=1,tp=2", "tp=1,pp=1,pp=1", "xp=1",
                           "tp=1;pp=1", "tp=99999999999999999999", "tp=4294967297", "TP=1"}) {
    const auto parsed = parse_parallelism(text, "--decode");
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(parsed.error().message, fmt::format("--decode \"{}\" is no parallelism: write it as tp=2,pp=1", text));
  }
}

std::string refusal(const char* name, Engine engine, Parallelism prefill, Parallelism decode) {
  const auto made = deploy(profile(), model(name), engine, prefill, decode);
  return made.ok() ? "" : made.error().message;
}

TEST(DistServeDeployment, is_refused_with_what_would_do) {
  EXPECT_EQ(refusal("opt-13b", Engine::distserve, {1, 1}, {3, 1}), "opt-13b has 40 heads: tp must be one of 1, 2, 4, 5, 8, not 3");
  EXPECT_EQ(refusal("opt-66b", Engine::vllm, {2, 3}, {2, 3}), "opt-66b has 64 layers: pp must be one of 1, 2, 4, 8, not 3");
  EXPECT_EQ(refusal("opt-66b", Engine::distserve, {2, 16}, {2, 1}), "opt-66b has 64 layers: pp must be one of 1, 2, 4, 8, not 16");
  EXPECT_EQ(refusal("opt-66b", Engine::distserve, {1, 1}, {2, 1}), "opt-66b as tp=1,pp=1 does not fit GPUs of 85 GB: raise tp or pp");
  EXPECT_EQ(refusal("opt-13b", Engine::distserve, {1, 1}, {5, 1}),
            "the speed of opt-13b under distserve is not known at tp=5: use tp=1 or 2 or 4");
  EXPECT_EQ(refusal("opt-66b", Engine::vllm, {6, 1}, {6, 1}),
            "the speed of opt-66b under vllm is not known at tp=6: use tp=2 or 3 or 4 or 8");
  EXPECT_EQ(refusal("opt-175b", Engine::distserve, {8, 1}, {8, 1}),
            "DistServe's authors published no speed of opt-175b: use opt-13b or opt-66b");
}

TEST(DistServeDeployment, names_the_nearest_model) {
  EXPECT_EQ(profile().find("opt-13").error().message, "DistServe's simulator has no model \"opt-13\"; did you mean \"opt-13b\"?");
  EXPECT_EQ(profile().find("llama").error().message, "DistServe's simulator has no model \"llama\"; known: opt-13b, opt-66b, opt-175b");
  EXPECT_EQ(profile().find("").error().message, "name a model with --model: opt-13b, opt-66b, opt-175b");
}

}  // namespace
}  // namespace baton::test::distserve
