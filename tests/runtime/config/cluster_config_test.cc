// A cluster file says what it means or is refused by file, line, key and the way out.
#include "runtime/config/cluster_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/model/loaded_model.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

const std::string kNodes =
    "nodes:\n"
    "  - {name: g, role: gateway, control: 127.0.0.1:1}\n"
    "  - {name: s, role: scheduler, control: 127.0.0.1:2}\n"
    "  - {name: p, role: prefill, control: 127.0.0.1:3}\n"
    "  - {name: d, role: decode, control: 127.0.0.1:4}\n";
const std::string kInsecure = "security: {insecure: true}\n";

Result<ClusterConfig> parse(const std::string& text) { return parse_cluster_config(text, "c.yaml"); }

TEST(ClusterConfig, fills_what_is_left_out_with_the_defaults) {
  const Result<ClusterConfig> config = parse(kNodes + kInsecure);
  ASSERT_TRUE(config.ok()) << config.error().message;
  ASSERT_EQ(config->nodes.size(), 4u);
  EXPECT_EQ(config->nodes[0].http, (HostPort{"127.0.0.1", 8000}));
  EXPECT_EQ(config->nodes[2].data, (HostPort{"127.0.0.1", 0}));
  EXPECT_EQ(config->nodes[3].instance, InstanceConfig{});
  EXPECT_EQ(config->scheduler, SchedulerConfig{});
  EXPECT_EQ(config->find("d"), &config->nodes[3]);
  EXPECT_EQ(config->find("x"), nullptr);
}

TEST(ClusterConfig, lets_a_node_override_the_defaults_of_the_cluster) {
  const Result<ClusterConfig> config = parse(
      "model: a.gguf\n"
      "nodes:\n"
      "  - {name: g, role: gateway, control: 'localhost:1', http: '[::1]:0'}\n"
      "  - {name: s, role: scheduler, control: 127.0.0.1:2}\n"
      "  - {name: m, role: mixed, control: 127.0.0.1:3, data: 10.0.0.1:77, model: b.gguf, block_size: 32, lease_ms: 7, verify_kv: false}\n"
      "  - {name: n, role: mixed, control: 127.0.0.1:4}\n"
      "instances: {block_size: 64, kv_dtype: f32, chunk_tokens: 0}\n" + kInsecure);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->nodes[0].http, (HostPort{"::1", 0}));
  const NodeConfig& m = config->nodes[2];
  EXPECT_EQ(m.data, (HostPort{"10.0.0.1", 77}));
  EXPECT_EQ(m.model, "b.gguf");
  EXPECT_EQ(m.instance.block_size, 32u);
  EXPECT_EQ(m.instance.kv_dtype, KvType::f32);
  EXPECT_EQ(m.instance.chunk_tokens, 0u);
  EXPECT_EQ(m.instance.lease, Milliseconds{7});
  EXPECT_FALSE(m.instance.verify_kv);
  EXPECT_EQ(config->nodes[3].model, "a.gguf");
  EXPECT_EQ(config->nodes[3].instance.block_size, 64u);
  EXPECT_EQ(config->nodes[1].model, "");
}

struct Wrong {
  std::string text;
  std::string message;       // its beginning
};

TEST(ClusterConfig, refuses_what_is_wrong_by_file_line_key_and_way_out) {
  const std::vector<Wrong> cases = {
      {kNodes + "instancs: {}\n", "c.yaml:6: instancs: unknown key; did you mean \"instances\"?"},
      {"nodes:\n  - {name: g, rolle: gateway, control: a:1}\n", "c.yaml:2: nodes[0].rolle: unknown key; did you mean \"role\"?"},
      {"nodes:\n  - {name: g, rolle: gateway, control: a:1, http: a:2}\n",
       "c.yaml:2: nodes[0].rolle: unknown key; did you mean \"role\"?"},
      {"nodes:\n  - {nmae: g, role: gateway, control: a:1}\n", "c.yaml:2: nodes[0].nmae: unknown key; did you mean \"name\"?"},
      {"nodes:\n  - {name: g, role: gateway, contol: a:1}\n", "c.yaml:2: nodes[0].contol: unknown key; did you mean \"control\"?"},
      {"nodes:\n  - {name: g, control: a:1, http: a:2}\n", "c.yaml:2: nodes[0].role: is missing"},
      {kNodes + "instances:\n  thread: 1\n", "c.yaml:7: instances.thread: unknown key; did you mean \"threads\"?"},
      {kNodes + "instances:\n  zzzzzzzzzzzz: 1\n", "c.yaml:7: instances.zzzzzzzzzzzz: unknown key; known: threads, kv_blocks"},
      {kNodes + "instances: {threads: 0}\n", "c.yaml:6: instances.threads: must be a whole number from 1 to 1024, not \"0\""},
      {kNodes + "instances: {threads: -1}\n", "c.yaml:6: instances.threads: must be a whole number from 1 to 1024, not \"-1\""},
      {kNodes + "instances: {max_model_len: 99999999999999999999999}\n",
       "c.yaml:6: instances.max_model_len: must be a whole number from 1 to 16777216"},
      {kNodes + "instances: {kv_blocks: 1.5}\n", "c.yaml:6: instances.kv_blocks: must be a whole number"},
      {kNodes + "instances: {block_size: 17}\n", "c.yaml:6: instances.block_size: must be one of 16, 32, 64, not \"17\""},
      {kNodes + "instances: {lease_ms: 0}\n", "c.yaml:6: instances.lease_ms: must be a whole number from 1 to 604800000"},
      {kNodes + "instances: {prefix_cache: maybe}\n", "c.yaml:6: instances.prefix_cache: must be true or false, not \"maybe\""},
      {kNodes + "instances: {threads: [1]}\n", "c.yaml:6: instances.threads: must be a single value"},
      {kNodes + "model:\n", "c.yaml:6: model: has no value"},
      {kNodes + "instances: 7\n", "c.yaml:6: instances: must be a mapping"},
      {kNodes + "limits: {max_attempts: 1, max_attempts: 2}\n", "c.yaml:6: limits.max_attempts: is given twice"},
      {kNodes + "scheduler: {routing: roundrobin}\n",
       "c.yaml:6: scheduler.routing: unknown routing policy \"roundrobin\"; did you mean \"round_robin\"?"},
      {kNodes + "scheduler: {hand_off: pul}\n",
       "c.yaml:6: scheduler.hand_off: must be one of pull, push_by_layer, not \"pul\"; did you mean \"pull\"?"},
      {"nodes:\n  - {name: g, role: prefil, control: a:1}\n",
       "c.yaml:2: nodes[0].role: must be one of gateway, scheduler, prefill, decode, mixed, not \"prefil\"; "
       "did you mean \"prefill\"?"},
      {"nodes:\n  - {name: g, role: gateway, control: a:0}\n",
       "c.yaml:2: nodes[0].control: port must be from 1 to 65535, not \"0\""},
      {"nodes:\n  - {name: g, role: gateway, control: a:65536}\n", "c.yaml:2: nodes[0].control: port must be from 1 to 65535"},
      {"nodes:\n  - {name: g, role: gateway, control: '::1:9'}\n", "c.yaml:2: nodes[0].control: must be host:port"},
      {"nodes:\n  - {name: g, role: gateway, control: host}\n", "c.yaml:2: nodes[0].control: must be host:port"},
      {"nodes:\n  - {name: s, role: scheduler, control: a:1, threads: 2}\n",
       "c.yaml:2: nodes[0].threads: only a prefill, decode or mixed node has it"},
      {"nodes:\n  - {name: p, role: prefill, control: 10.0.0.1:1}\n",
       "c.yaml:2: nodes[0].data: is missing, and control is not on loopback"},
      {"nodes:\n  - {name: p, role: prefill, control: a:1, http: a:2}\n", "c.yaml:2: nodes[0].http: only a gateway serves HTTP"},
      {"nodes: []\n", "c.yaml:1: nodes: must list the cluster's nodes"},
      {"model: a\n", "c.yaml:1: nodes: must list the cluster's nodes"},
      {"", "c.yaml: must be a mapping with the key \"nodes\""},
      {"- 1\n", "c.yaml: must be a mapping"},
      {"nodes: [\n", "c.yaml:2: not YAML:"},
      {"a: *b\n", "c.yaml:1: not YAML:"},
      {std::string("a\0b", 3), "c.yaml: holds a zero byte"},
      {kNodes, "c.yaml: security: name ca, certificate and key"},
      {kNodes + "security: {insecure: true, ca: x}\n", "c.yaml: security: insecure and certificates are given"},
      {kNodes + "  - {name: p, role: mixed, control: a:5}\n" + kInsecure, "c.yaml: nodes[4].name: p is also nodes[2]"},
      {kNodes + "  - {name: 'a b', role: mixed, control: a:5}\n" + kInsecure, "c.yaml: nodes[4].name: must be 1 to 63 letters"},
      {kNodes + "  - {name: q, role: mixed, control: 127.0.0.1:3}\n" + kInsecure,
       "c.yaml: nodes[4].control: 127.0.0.1:3 is also nodes[2].control"},
      {"nodes: [{name: s, role: scheduler, control: a:1}]\n" + kInsecure, "c.yaml: nodes: nobody serves clients"},
      {"nodes: [{name: g, role: gateway, control: a:1}]\n" + kInsecure, "c.yaml: nodes: 0 have the role scheduler"},
      {"nodes: [{name: g, role: gateway, control: a:1}, {name: s, role: scheduler, control: a:2}, "
       "{name: p, role: prefill, control: 127.0.0.1:3}]\n" + kInsecure, "c.yaml: nodes: nobody generates tokens"},
      {kNodes + kInsecure + "control: {heartbeat_ms: 900, timeout_ms: 1000}\n",
       "c.yaml: control.timeout_ms: must be at least twice"},
  };
  for (const Wrong& wrong : cases) {
    const Result<ClusterConfig> config = parse(wrong.text);
    ASSERT_FALSE(config.ok()) << wrong.text;
    EXPECT_EQ(config.error().code, ErrorCode::invalid_config);
    EXPECT_EQ(config.error().message.substr(0, wrong.message.size()), wrong.message) << wrong.text;
  }
}

TEST(ClusterConfig, refuses_unknown_policies_by_the_nearest_known_name) {
  const std::vector<Wrong> cases = {
      {kNodes + "scheduler: {admission: early_rejecton}\n",
       "c.yaml:6: scheduler.admission: unknown admission policy \"early_rejecton\"; did you mean \"early_rejection\"?"},
      {kNodes + "instances: {queue_order: srtp}\n",
       "c.yaml:6: instances.queue_order: unknown queue order \"srtp\"; did you mean \"srpt\"?"},
      {"nodes:\n  - {name: p, role: prefill, control: 127.0.0.1:3, queue_order: lifo}\n",
       "c.yaml:2: nodes[0].queue_order: unknown queue order \"lifo\"; known: fcfs, mlfq, srpt"},
  };
  for (const Wrong& wrong : cases) {
    const Result<ClusterConfig> config = parse(wrong.text);
    ASSERT_FALSE(config.ok()) << wrong.text;
    EXPECT_EQ(config.error().code, ErrorCode::invalid_config);
    EXPECT_EQ(config.error().message.substr(0, wrong.message.size()), wrong.message) << wrong.text;
  }
}

TEST(ClusterConfig, comes_back_from_the_file_that_it_writes) {
  ClusterConfig config;
  config.model = "dir/a model: \"x\" #1.gguf";
  config.served_name = "true";
  config.instances = {.threads = 3, .kv_blocks = 77, .kv_dtype = KvType::f32, .queue_order = "mlfq",
                      .queue_ageing = Milliseconds{70}, .chunk_tokens = 0, .prefix_cache = false,
                      .lease = Milliseconds{5}};
  config.scheduler = {.routing = "power_of_two", .admission = "deadline", .slo_ttft = Milliseconds{9}, .slo_itl = Milliseconds{8},
                      .hand_off = HandOffMode::push_by_layer, .seed = ~std::uint64_t{0}};
  config.limits.idle_timeout = Milliseconds{1234};
  config.control = {.heartbeat = Milliseconds{10}, .timeout = Milliseconds{90}, .threads = 1};
  config.security = {.ca = "ca.pem", .certificate = "{name}.pem", .key = "{name}.key"};
  config.nodes = {
      {.name = "g", .role = Role::gateway, .control = {"::1", 5}, .http = {"0.0.0.0", 0}, .model = config.model,
       .instance = config.instances},
      {.name = "s", .role = Role::scheduler, .control = {"h", 6}, .instance = config.instances},
      {.name = "m", .role = Role::mixed, .control = {"h", 7}, .data = {"fe80::1", 0}, .model = "other",
       .instance = config.instances},
      {.name = "p", .role = Role::prefill, .control = {"h", 8}, .data = {"10.0.0.1", 3}, .model = config.model,
       .instance = config.instances},
  };
  config.nodes[2].instance.block_size = 64;
  config.nodes[2].instance.prefix_cache = true;
  const std::string yaml = to_yaml(config);
  const Result<ClusterConfig> back = parse(yaml);
  ASSERT_TRUE(back.ok()) << back.error().message << "\n" << yaml;
  EXPECT_EQ(*back, config) << yaml;
}

TEST(ClusterConfig, survives_any_bytes_in_place_of_any_others) {
  const std::string good = kNodes + "instances: {threads: 2, lease_ms: 10}\nscheduler: {routing: jsq}\n" + kInsecure;
  Random random{7};
  const std::string alphabet = "{}[]:,-#&*!|>'\"%@` \n\t?~aA0\x80\xff";
  int accepted = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string text = good;
    for (std::uint64_t change = random.below(4) + 1; change > 0; --change) {
      const std::size_t at = random.below(text.size());
      const char byte = alphabet[random.below(alphabet.size())];
      if (random.below(3) == 0) text.erase(at, random.below(8) + 1);
      else if (random.below(2) == 0) text[at] = byte;
      else text.insert(at, 1, byte);
    }
    const Result<ClusterConfig> config = parse(text);
    accepted += config.ok() ? 1 : 0;
    if (!config.ok()) {
      EXPECT_THAT(config.error().message, HasSubstr("c.yaml:"));
    }
  }
  EXPECT_GT(accepted, 0);
}

TEST(ClusterConfig, refuses_deep_nesting_and_great_length_without_falling_over) {
  EXPECT_FALSE(parse(std::string(100'000, '[')).ok());
  EXPECT_FALSE(parse("a: " + std::string(100'000, '{')).ok());
  EXPECT_FALSE(parse(std::string(5u << 20, 'x')).ok());
}

TEST(InstanceConfig, has_the_blocks_it_says_or_as_many_as_its_memory_holds) {
  constexpr std::uint64_t kMib = 1 << 20;
  EXPECT_EQ(kv_blocks_of({.kv_blocks = 7, .kv_memory_mib = 512}, kMib), 7u);
  EXPECT_EQ(kv_blocks_of({.kv_memory_mib = 512}, kMib), 512u);
  EXPECT_EQ(kv_blocks_of({.kv_memory_mib = 2}, 3 * kMib / 2), 1u);
  EXPECT_EQ(kv_blocks_of({.kv_memory_mib = 1}, 3 * kMib), 1u) << "one at least";
}

TEST(ClusterFiles, that_are_not_there_are_named) {
  const Result<ClusterConfig> missing = load_cluster_config("no/such/file.yaml");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("no/such/file.yaml"));
  const Result<ClusterConfig> folder = load_cluster_config("/");
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().code, ErrorCode::io_error);
}

TEST(InstanceConfig, a_length_that_nobody_asked_for_is_one_that_the_model_can_do) {
  ModelSpec model;
  model.context = 32768;
  EXPECT_EQ(length_of({}, model), 8192u);
  model.sliding_window = 4096;
  EXPECT_EQ(length_of({}, model), 4096u);
  model.context = 2048;
  EXPECT_EQ(length_of({}, model), 2048u);
  EXPECT_EQ(length_of({.max_model_len = 8192}, model), 8192u) << "asked for: the device refuses it and says so";
}

TEST(ClusterFiles, of_the_project_all_parse_and_come_back) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(BATON_CONFIGS)) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    const Result<ClusterConfig> config = load_cluster_config(entry.path().string());
    ASSERT_TRUE(config.ok()) << config.error().message;
    const Result<ClusterConfig> back = parse(to_yaml(*config));
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, *config) << entry.path();
    EXPECT_EQ(config->security.ca.front(), '/') << "relative paths are from the file's folder";
  }
  EXPECT_GE(files, 3);
}

}  // namespace
}  // namespace baton
