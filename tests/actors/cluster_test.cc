// A whole cluster in one process: gateway hub, scheduler and instances as actors of their own systems over TLS, KV over UCX, and a
// device whose output depends on every byte of KV (fake_device.h).
#include <gmock/gmock.h>

#include <future>
#include <thread>

#include "actors/gateway_hub.h"
#include "actors/instance_actor.h"
#include "actors/scheduler_actor.h"
#include "tests/actors/instance/fake_device.h"
#include "tests/actors/test_node.h"
#include "transport/ucx_fabric.h"

namespace baton {
namespace {

using testing::HasSubstr;

struct Collected : gateway::RequestSink {
  void on_token(const EmitToken& token) override {
    const std::lock_guard lock{mutex};
    for (const ScoredToken& t : token.tokens) tokens[token.choice].push_back(t.chosen.token);
    text[token.choice] += token.text;
    changed.notify_all();
  }
  void on_prompt_scores(const EmitPromptScores& s) override {
    const std::lock_guard lock{mutex};
    scores = s.scores;
  }
  void on_outcome(const RequestOutcome& o) override {
    const std::lock_guard lock{mutex};
    outcome = o;
    ++outcomes;
    changed.notify_all();
  }
  bool await_outcome() {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, std::chrono::seconds{30}, [this] { return outcomes > 0; });
  }
  bool await_tokens(std::size_t count) {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, std::chrono::seconds{30}, [&] { return tokens[0].size() >= count || outcomes > 0; });
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::uint32_t, std::vector<TokenId>> tokens;
  std::map<std::uint32_t, std::string> text;
  std::vector<ScoredToken> scores;
  RequestOutcome outcome;
  int outcomes = 0;
};

// Asks until it is so, for at most 20 s: for state that is only seen by asking.
bool eventually(const std::function<bool()>& is_so) {
  const Instant limit = steady_now() + Milliseconds{20000};
  while (!is_so()) {
    if (steady_now() > limit) return false;
    std::this_thread::sleep_for(Milliseconds{5});
  }
  return true;
}

// What a device's steps pass through, so that a stream is just as far as the test wants it when it is disturbed.
class StepGate {
 public:
  void pass() {                                    // the device's thread
    std::unique_lock lock{mutex_};
    ++standing_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_ || allowed_ > 0; });
    --standing_;
    if (!open_) --allowed_;
  }
  void let(int steps) {                            // that many more; the next one stands before the gate
    const std::lock_guard lock{mutex_};
    open_ = false;
    allowed_ = steps;
    changed_.notify_all();
  }
  void open() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    changed_.notify_all();
  }
  bool has_held_one() {
    std::unique_lock lock{mutex_};
    return !open_ && allowed_ == 0 && standing_ > 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;                               // guarded
  int allowed_ = 0;                                // guarded
  int standing_ = 0;                               // guarded
};

class GatedDevice : public FakeDevice {
 public:
  explicit GatedDevice(std::shared_ptr<StepGate> gate) : gate_(std::move(gate)) {}
  Result<BatchLogits> run(std::span<const SequenceChunk> batch, LayerObserver* observer) override {
    gate_->pass();
    return FakeDevice::run(batch, observer);
  }

 private:
  std::shared_ptr<StepGate> gate_;
};

class Cluster {
 public:
  Cluster(std::vector<std::pair<std::string, Role>> instances, HandOffMode mode) : test_(with_front(instances)), mode_(mode) {
    start("scheduler");
    start("gateway");
    for (const auto& [name, role] : instances) start(name);
    EXPECT_TRUE(eventually([&] { return backend_->ready(); }));
    for (const auto& [name, role] : instances) EXPECT_TRUE(await_view(name, "ready"));
  }
  ~Cluster() {
    for (const auto& [name, gate] : gates_) gate->open();
  }

  void start(const std::string& name) {
    Hello hello = test_.hello(name);
    const Role role = hello.role;
    std::shared_ptr<InstanceHost> host;
    if (is_instance(role)) host = make_host(hello);
    nodes_[name] = std::make_unique<TestNode>(test_, hello, [&](caf::actor_system& system) -> caf::actor {
      if (role == Role::scheduler) return spawn_scheduler(system, SchedulerCore{{.hand_off = mode_}}, hello.self);
      if (role == Role::gateway) {
        GatewayHub hub = spawn_gateway_hub(system, hello, test_.config.nodes, std::make_shared<FakeTokenizer>());
        backend_ = hub.backend;
        return hub.actor;
      }
      InstanceOptions options{.self = hello.self, .role = role, .model_fingerprint = 7, .layers = 3, .blocks = 256, .max_model_len = 2048};
      return spawn_instance(system, InstanceCore{options}, std::move(host), hello.self);
    });
  }
  void kill(const std::string& name) {
    // The end of its role comes before the end of a step that stands before the gate, so that nothing more comes of either.
    caf::anon_send_exit(nodes_.at(name)->role(), caf::exit_reason::kill);
    if (const auto gate = gates_.find(name); gate != gates_.end()) gate->second->open();
    nodes_.erase(name);
  }
  StepGate& gate(const std::string& name) { return *gates_.at(name); }
  // Their KV link breaks, and nothing else; the actor at `far` is the one that notices.
  void cut_kv(const std::string& near, const std::string& far) {
    const auto host = hosts_.at(near).lock();
    ASSERT_TRUE(host);
    host->disconnect(view_of(far).hello.self);
  }

  std::shared_ptr<Collected> ask(SamplingParams sampling, std::uint32_t choices = 1, std::size_t prompt_tokens = 40) {
    auto sink = std::make_shared<Collected>();
    RequestSpec spec;
    spec.id = backend_->next_request_id();
    spec.gateway = backend_->self();
    for (std::size_t i = 0; i < prompt_tokens; ++i) spec.prompt.push_back(static_cast<TokenId>(i * 5 % FakeDevice::kVocabulary));
    spec.sampling = std::move(sampling);
    spec.choices = choices;
    spec.assign_deadline = Milliseconds{3000};
    last_ = spec.id;
    backend_->submit(std::move(spec), sink);
    return sink;
  }
  void cancel_last() { backend_->cancel(last_); }

  gateway::ClusterView view() {
    std::promise<gateway::ClusterView> answer;
    backend_->cluster([&](gateway::ClusterView view) { answer.set_value(std::move(view)); });
    return answer.get_future().get();
  }
  gateway::NodeView view_of(const std::string& name) {
    for (gateway::NodeView& node : view().nodes) {
      if (node.hello.name == name) return node;
    }
    return {};
  }
  bool await_view(const std::string& name, const std::string& state) {
    return eventually([&] { return view_of(name).state == state; });
  }
  // No instance holds anything for a request any more.
  bool await_idle() {
    return eventually([&] {
      const std::vector<gateway::NodeView> nodes = view().nodes;
      return std::all_of(nodes.begin(), nodes.end(), [](const gateway::NodeView& node) {
        const LoadReport& load = node.stats.load;
        return load.running == 0 && load.waiting == 0 && load.blocks_used == 0 && load.blocks_leased == 0;
      });
    });
  }

 private:
  static std::vector<std::pair<std::string, Role>> with_front(std::vector<std::pair<std::string, Role>> instances) {
    instances.insert(instances.begin(), {{"gateway", Role::gateway}, {"scheduler", Role::scheduler}});
    return instances;
  }
  std::shared_ptr<InstanceHost> make_host(Hello& hello) {
    auto& gate = gates_[hello.name] = std::make_shared<StepGate>();
    auto device = std::make_unique<GatedDevice>(gate);
    EXPECT_TRUE(device->allocate_kv(256).ok());
    hello.data_token = hello.self.incarnation.value;
    const auto make_fabric = [&](transport::FabricListener& listener) -> Result<std::unique_ptr<transport::Fabric>> {
      return std::move(transport::make_ucx_fabric({.self = peer_id(hello.self), .token = hello.data_token}, &listener).fabric);
    };
    auto host = InstanceHost::make(std::move(device), make_fabric, {});
    EXPECT_TRUE(host.ok());
    hello.data_address = (*host)->data_address();
    hello.blocks_total = 256;
    std::shared_ptr<InstanceHost> made = std::move(*host);
    hosts_[hello.name] = made;
    return made;
  }

  TestCluster test_;
  HandOffMode mode_;
  std::shared_ptr<gateway::Backend> backend_;
  RequestId last_;
  std::map<std::string, std::weak_ptr<InstanceHost>> hosts_;
  std::map<std::string, std::shared_ptr<StepGate>> gates_;
  std::map<std::string, std::unique_ptr<TestNode>> nodes_;
};

SamplingParams greedy(std::uint32_t tokens) {
  SamplingParams sampling;
  sampling.temperature = 0;
  sampling.max_tokens = tokens;
  return sampling;
}
SamplingParams seeded(std::uint32_t tokens) {
  SamplingParams sampling;
  sampling.seed = 42;
  sampling.presence_penalty = 0.5f;
  sampling.max_tokens = tokens;
  return sampling;
}

using Tokens = std::map<std::uint32_t, std::vector<TokenId>>;

Tokens tokens_from(Cluster& cluster, const SamplingParams& sampling, std::uint32_t choices = 1) {
  const auto answer = cluster.ask(sampling, choices);
  EXPECT_TRUE(answer->await_outcome());
  EXPECT_FALSE(answer->outcome.error) << answer->outcome.error->message;
  return answer->tokens;
}

TEST(ActorCluster, apart_and_together_give_the_same_tokens_whichever_way_kv_moves) {
  Tokens expected, expected_three;
  {
    Cluster mixed{{{"m0", Role::mixed}}, HandOffMode::pull};
    expected = tokens_from(mixed, greedy(30));
    expected_three = tokens_from(mixed, seeded(30), 3);
  }
  EXPECT_EQ(expected[0].size(), 30u);
  for (const HandOffMode mode : {HandOffMode::pull, HandOffMode::push_by_layer}) {
    Cluster apart{{{"p0", Role::prefill}, {"d0", Role::decode}}, mode};
    EXPECT_EQ(tokens_from(apart, greedy(30)), expected) << to_string(mode);
    EXPECT_EQ(tokens_from(apart, seeded(30), 3), expected_three) << to_string(mode);
    const NodeStats decode = apart.view_of("d0").stats;
    EXPECT_EQ(decode.transport, "ucx");
    EXPECT_GT(decode.kv_bytes_received, 0u);
    EXPECT_EQ(decode.recomputed_tokens, 0u);
    EXPECT_TRUE(apart.await_idle());
  }
}

TEST(ActorCluster, a_decode_instance_that_ends_in_mid_stream_does_not_change_the_stream) {
  Cluster cluster{{{"p0", Role::prefill}, {"d0", Role::decode}, {"d1", Role::decode}}, HandOffMode::pull};
  const Tokens expected = tokens_from(cluster, seeded(60));
  for (const char* decode : {"d0", "d1"}) cluster.gate(decode).let(14);
  const auto disturbed = cluster.ask(seeded(60));
  ASSERT_TRUE(disturbed->await_tokens(15));                // the first is the prefill's
  ASSERT_TRUE(eventually([&] { return cluster.gate("d0").has_held_one() || cluster.gate("d1").has_held_one(); }));
  const bool first = cluster.gate("d0").has_held_one();
  cluster.gate(first ? "d1" : "d0").open();
  cluster.kill(first ? "d0" : "d1");
  ASSERT_TRUE(disturbed->await_outcome());
  ASSERT_FALSE(disturbed->outcome.error) << disturbed->outcome.error->message;
  EXPECT_EQ(disturbed->tokens, expected);
  EXPECT_EQ(disturbed->outcome.recoveries_prefill, 0u);
  EXPECT_EQ(disturbed->outcome.recoveries_decode, 1u);
  EXPECT_TRUE(cluster.await_idle());
}

TEST(ActorCluster, a_kv_link_that_breaks_is_made_anew_and_until_then_decode_recomputes) {
  Cluster cluster{{{"p0", Role::prefill}, {"d0", Role::decode}}, HandOffMode::pull};
  const Tokens expected = tokens_from(cluster, greedy(30));
  const auto reachable = [&] { return cluster.view_of("p0").stats.load.unreachable.empty(); };
  EXPECT_EQ(cluster.view_of("d0").stats.recomputed_tokens, 0u);
  cluster.cut_kv("d0", "p0");
  ASSERT_TRUE(eventually([&] { return !reachable(); }));
  const Instant asked = steady_now();
  EXPECT_EQ(tokens_from(cluster, greedy(30)), expected);
  EXPECT_LT(steady_now() - asked, Milliseconds{5000}) << "a transfer's deadline is 10 s";
  ASSERT_TRUE(eventually(reachable));
  const NodeStats before = cluster.view_of("d0").stats;
  EXPECT_EQ(tokens_from(cluster, greedy(30)), expected);
  const NodeStats after = cluster.view_of("d0").stats;
  EXPECT_EQ(after.recomputed_tokens, before.recomputed_tokens);
  EXPECT_GT(after.kv_bytes_received, before.kv_bytes_received);
  EXPECT_TRUE(cluster.await_idle());
}

TEST(ActorCluster, a_scheduler_that_ends_and_comes_back_is_not_noticed_by_streams_and_serves_new_requests) {
  Cluster cluster{{{"m0", Role::mixed}}, HandOffMode::pull};
  const Tokens expected = tokens_from(cluster, greedy(60));
  cluster.gate("m0").let(5);
  const auto running = cluster.ask(greedy(60));
  ASSERT_TRUE(running->await_tokens(5));
  cluster.kill("scheduler");
  ASSERT_TRUE(cluster.await_view("scheduler", "down"));
  cluster.gate("m0").open();
  ASSERT_TRUE(running->await_outcome());
  EXPECT_EQ(running->tokens, expected);
  const auto waiting = cluster.ask(greedy(60));              // while there is none
  cluster.start("scheduler");
  ASSERT_TRUE(waiting->await_outcome());
  EXPECT_FALSE(waiting->outcome.error);
  EXPECT_EQ(waiting->tokens, expected);
}

TEST(ActorCluster, without_anybody_who_can_decode_a_request_ends_with_its_error_in_time) {
  Cluster cluster{{{"p0", Role::prefill}, {"d0", Role::decode}}, HandOffMode::pull};
  cluster.kill("d0");
  const auto answer = cluster.ask(greedy(10));
  ASSERT_TRUE(answer->await_outcome());
  ASSERT_TRUE(answer->outcome.error);
  EXPECT_EQ(answer->outcome.error->code, ErrorCode::unavailable);
  EXPECT_EQ(answer->outcomes, 1);
}

TEST(ActorCluster, a_cancelled_request_ends_once_and_frees_everything) {
  Cluster cluster{{{"p0", Role::prefill}, {"d0", Role::decode}}, HandOffMode::pull};
  cluster.gate("d0").let(2);
  const auto answer = cluster.ask(greedy(1000));
  ASSERT_TRUE(answer->await_tokens(3));
  cluster.cancel_last();
  ASSERT_TRUE(answer->await_outcome());
  EXPECT_TRUE(answer->outcome.error);
  cluster.gate("d0").open();
  EXPECT_TRUE(cluster.await_idle());
  EXPECT_EQ(answer->outcomes, 1);
}

TEST(ActorCluster, the_view_names_every_node_of_the_file_in_order_and_says_who_is_down) {
  Cluster cluster{{{"p0", Role::prefill}, {"d0", Role::decode}}, HandOffMode::pull};
  cluster.kill("d0");
  EXPECT_TRUE(cluster.await_view("d0", "down"));
  std::vector<std::string> names;
  for (const gateway::NodeView& node : cluster.view().nodes) names.push_back(node.hello.name + " " + node.state);
  EXPECT_THAT(names, testing::ElementsAre("gateway ready", "scheduler ready", "p0 ready", "d0 down"));
}

}  // namespace
}  // namespace baton
