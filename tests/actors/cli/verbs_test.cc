// The command line, parsed as main does it, up to the first thing that cannot be had.
#include "actors/cli/verbs.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

namespace baton::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Outcome {
  int status = -1;
  std::string words;                   // on stderr
};

// `variables` stand in the environment while it runs.
Outcome baton(const std::string& arguments, const std::map<std::string, std::string>& variables = {}) {
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  CLI::App app;
  Outcome outcome;
  for (const AddVerb add : kVerbs) add(app, outcome.status);
  testing::internal::CaptureStderr();
  try {
    app.parse(arguments, false);
    outcome.words = testing::internal::GetCapturedStderr();
  } catch (const CLI::ParseError& error) {
    outcome = {kMisused, testing::internal::GetCapturedStderr() + error.what()};
  }
  for (const auto& [name, value] : variables) ::unsetenv(name.c_str());
  return outcome;
}

constexpr const char* kNoFile = "no/cluster.yaml";     // whoever reads it got past the flags

TEST(Serve, refuses_by_name_each_flag_that_a_cluster_file_would_overrule) {
  const Outcome outcome = baton("serve --config no/cluster.yaml --model m.gguf --port 9000 --threads 2 --log off");
  EXPECT_EQ(outcome.status, kMisused);
  EXPECT_THAT(outcome.words, AllOf(HasSubstr("--model, --port, --threads cannot stand beside --config"), Not(HasSubstr(kNoFile))));
  EXPECT_THAT(outcome.words, HasSubstr("there may be --drain-seconds, --insecure, --log, --no-restart"));
}

TEST(Serve, takes_the_flags_that_apply_beside_a_cluster_file) {
  const Outcome outcome = baton("serve --config no/cluster.yaml --drain-seconds 1 --insecure --log off --no-restart");
  EXPECT_THAT(outcome.words, HasSubstr(kNoFile));
}

TEST(Serve, does_not_refuse_a_cluster_file_for_a_variable_but_says_that_it_is_not_used) {
  const Outcome outcome = baton("serve --config no/cluster.yaml", {{"BATON_PORT", "9000"}, {"BATON_MODEL", "m.gguf"}});
  EXPECT_THAT(outcome.words, AllOf(HasSubstr("BATON_MODEL, BATON_PORT not used"), HasSubstr(kNoFile)));
}

TEST(Serve, refuses_a_flag_beside_a_cluster_file_that_a_variable_names) {
  const Outcome outcome = baton("serve --port 9000", {{"BATON_CONFIG", kNoFile}});
  EXPECT_EQ(outcome.status, kMisused);
  EXPECT_THAT(outcome.words, HasSubstr("--port cannot stand beside --config"));
}

TEST(Help, of_every_verb_is_text) {
  CLI::App app;
  int status = 0;
  for (const AddVerb add : kVerbs) add(app, status);
  const std::string help = app.help("", CLI::AppFormatMode::All);
  EXPECT_THAT(help, AllOf(HasSubstr("{pull,push_by_layer}"), HasSubstr("{bf16,f32}")));
  EXPECT_TRUE(std::all_of(help.begin(), help.end(), [](unsigned char c) { return c == '\n' || std::isprint(c); }));
}

TEST(Serve, refuses_a_word_that_is_no_choice_with_those_there_are) {
  EXPECT_THAT(baton("serve --hand-off shove").words, HasSubstr("shove not in {pull,push_by_layer}"));
  EXPECT_THAT(baton("serve --kv-dtype 1").words, HasSubstr("1 not in {bf16,f32}"));
}

TEST(Log, of_an_unknown_level_is_refused_with_those_there_are) {
  for (const std::string verb : {"serve", "node --config no/cluster.yaml --name a"}) {
    for (const Outcome& outcome : {baton(verb + " --log bogus"), baton(verb, {{"BATON_LOG", "bogus"}})}) {
      EXPECT_EQ(outcome.status, kMisused);
      EXPECT_THAT(outcome.words, AllOf(HasSubstr("bogus"), HasSubstr("trace,debug,info,warn,error,off")));
    }
  }
}

TEST(Variables, that_mean_nothing_are_refused_by_name_before_anything_starts) {
  const Outcome fault = baton("serve --model no/model.gguf", {{"BATON_FAULT", "flip-bit:3"}});
  EXPECT_EQ(fault.status, kMisused);
  EXPECT_THAT(fault.words, AllOf(HasSubstr("BATON_FAULT"), HasSubstr("flip_bit:N"), Not(HasSubstr("no/model.gguf"))));
  const Outcome isa = baton("serve --model no/model.gguf", {{"BATON_ISA", "avx"}});
  EXPECT_EQ(isa.status, kMisused);
  EXPECT_THAT(isa.words, AllOf(HasSubstr("BATON_ISA"), HasSubstr("scalar, avx2 or avx512"), Not(HasSubstr("no/model.gguf"))));
}

}  // namespace
}  // namespace baton::cli
