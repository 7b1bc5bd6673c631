#include <gmock/gmock.h>

#include "actors/child_process.h"
#include "actors/node_process.h"
#include "actors/serve.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names_of(const ServeOptions& options) {
  std::vector<std::string> names;
  const auto plan = plan_cluster(options);
  EXPECT_TRUE(plan.ok());
  for (const NodeConfig& node : plan->nodes) names.push_back(node.name);
  return names;
}

TEST(ServePlan, is_a_gateway_a_scheduler_and_the_instances_asked_for) {
  EXPECT_THAT(names_of({}), ElementsAre("gateway", "scheduler", "prefill0", "decode0"));
  EXPECT_THAT(names_of({.prefill = 2, .decode = 1, .mixed = 1}),
              ElementsAre("gateway", "scheduler", "prefill0", "prefill1", "decode0", "mixed0"));
  EXPECT_THAT(names_of({.prefill = 0, .decode = 0, .mixed = 1}), ElementsAre("gateway", "scheduler", "mixed0"));
}

TEST(ServePlan, without_anybody_to_do_half_of_the_work_is_refused_with_the_flag_to_use) {
  EXPECT_THAT(plan_cluster({.decode = 0}).error().message, HasSubstr("--decode 0 leaves nobody to generate tokens; use --decode 1"));
  EXPECT_THAT(plan_cluster({.prefill = 0}).error().message, HasSubstr("--prefill 0 leaves nobody to read prompts; use --prefill 1"));
}

TEST(ServePlan, settings_of_instances_reach_every_node) {
  ServeOptions options;
  options.cluster.model = "/a/model.gguf";
  options.cluster.instances.block_size = 32;
  options.cluster.instances.kv_blocks = 77;
  const auto plan = plan_cluster(options);
  ASSERT_TRUE(plan.ok());
  for (const NodeConfig& node : plan->nodes) {
    EXPECT_EQ(node.model, "/a/model.gguf");
    EXPECT_EQ(node.instance, options.cluster.instances);
  }
}

TEST(Serve, a_missing_model_is_named_before_anything_starts) {
  ServeOptions options;
  options.http.port = 0;
  options.cluster.model = "/nowhere/model.gguf";
  const Status status = serve(options);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("/nowhere/model.gguf"));
  EXPECT_THAT(status.error().message, HasSubstr("--model"));
}

TEST(NodeKeys, are_needed_unless_insecurity_was_asked_for_by_name) {
  const auto refused = keys_of({}, "p0");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("baton keys issue DIR p0"));
  EXPECT_THAT(refused.error().message, HasSubstr("--insecure"));
  const auto insecure = keys_of({.insecure = true}, "p0");
  ASSERT_TRUE(insecure.ok());
  EXPECT_FALSE(insecure->has_value());
}

TEST(NodeKeys, of_a_node_are_found_by_its_name) {
  const auto keys = keys_of({.ca = "/k/ca.pem", .certificate = "/k/{name}.pem", .key = "/k/{name}.key"}, "p0");
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ((*keys)->certificate, "/k/p0.pem");
  EXPECT_EQ((*keys)->key, "/k/p0.key");
}

TEST(ExitStatus, reads_as_words) {
  EXPECT_EQ(describe_exit(2 << 8), "exit status 2");
  EXPECT_EQ(describe_exit(9), "killed by SIGKILL");
}

}  // namespace
}  // namespace baton
