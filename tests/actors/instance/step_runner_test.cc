#include "actors/instance/step_runner.h"

#include <gmock/gmock.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "actors/instance/device_worker.h"
#include "runtime/kv/prefix_identity.h"
#include "runtime/sampling/sampler.h"
#include "tests/actors/instance/fake_device.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

std::vector<TokenId> tokens_of(std::size_t count) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(static_cast<TokenId>((i * 7 + 3) % FakeDevice::kVocabulary));
  return tokens;
}

StepSequence sequence_of(std::vector<TokenId> tokens, std::uint32_t start, std::vector<BlockId> blocks) {
  StepSequence sequence;
  sequence.key = {RequestId{128}, Epoch{1}};
  sequence.start = start;
  sequence.prompt_tokens = start + static_cast<std::uint32_t>(tokens.size());
  sequence.tokens = std::move(tokens);
  sequence.blocks = std::move(blocks);
  sequence.sampling.temperature = 0;
  return sequence;
}

class StepRunner : public testing::Test {
 protected:
  StepRunner() { EXPECT_TRUE(device_.allocate_kv(8).ok()); }
  StepDone run(StartStep step, LayerPush* push = nullptr) {
    const auto slots = KvSlots::of(device_);
    auto result = run_step(device_, step, &*slots, push, {});
    EXPECT_TRUE(std::holds_alternative<StepDone>(result));
    return std::get<StepDone>(std::move(result));
  }
  FakeDevice device_;
};

TEST_F(StepRunner, samples_every_choice_asked_for_in_order_and_nothing_for_a_chunk) {
  StepSequence chunk = sequence_of(tokens_of(5), 0, {BlockId{0}});
  StepSequence last = sequence_of(tokens_of(6), 0, {BlockId{1}});
  last.sample_choices = {0, 2, 5};
  const StepDone done = run({.step = StepId{9}, .sequences = {chunk, last}});
  EXPECT_EQ(done.step, StepId{9});
  ASSERT_THAT(done.samples, SizeIs(3));
  EXPECT_EQ(done.samples[1].choice, 2u);
  EXPECT_EQ(done.samples[0].token, done.samples[2].token);   // greedy
}

TEST_F(StepRunner, a_prompt_in_chunks_gives_the_token_and_the_scores_of_the_whole) {
  const std::vector<TokenId> prompt = tokens_of(30);
  StepSequence whole = sequence_of(prompt, 0, {BlockId{0}, BlockId{1}});
  whole.sample_choices = {0};
  whole.score_prompt = true;
  whole.sampling.prompt_logprobs = 2;
  const StepDone at_once = run({.step = StepId{1}, .sequences = {whole}});

  StepSequence first = sequence_of({prompt.begin(), prompt.begin() + 11}, 0, {BlockId{2}, BlockId{3}});
  StepSequence second = sequence_of({prompt.begin() + 11, prompt.end()}, 11, {BlockId{2}, BlockId{3}});
  first.score_prompt = second.score_prompt = true;
  first.sampling.prompt_logprobs = second.sampling.prompt_logprobs = 2;
  first.next_prompt_token = prompt[11];
  second.sample_choices = {0};
  const StepDone one = run({.step = StepId{2}, .sequences = {first}});
  const StepDone two = run({.step = StepId{3}, .sequences = {second}});

  std::vector<ScoredToken> scores = one.prompt_scores[0].scores;
  scores.insert(scores.end(), two.prompt_scores[0].scores.begin(), two.prompt_scores[0].scores.end());
  EXPECT_EQ(scores, at_once.prompt_scores[0].scores);
  EXPECT_THAT(scores, SizeIs(29));
  EXPECT_EQ(two.samples[0].token, at_once.samples[0].token);
}

TEST_F(StepRunner, forks_copy_blocks_before_the_batch_writes) {
  StepSequence prompt = sequence_of(tokens_of(5), 0, {BlockId{0}});
  prompt.sample_choices = {0};
  const TokenId next = run({.step = StepId{1}, .sequences = {prompt}}).samples[0].token.chosen.token;
  StepSequence original = sequence_of({next}, 5, {BlockId{0}}), fork = sequence_of({next}, 5, {BlockId{4}});
  original.sample_choices = fork.sample_choices = {0};
  const StepDone done = run({.step = StepId{2}, .copies = {{BlockId{0}, BlockId{4}}}, .sequences = {original, fork}});
  EXPECT_EQ(done.samples[0].token, done.samples[1].token);
}

TEST_F(StepRunner, the_root_is_of_the_contents_not_of_where_they_lie) {
  const std::vector<TokenId> prompt = tokens_of(20);
  StepSequence here = sequence_of(prompt, 0, {BlockId{0}, BlockId{1}}), there = sequence_of(prompt, 0, {BlockId{6}, BlockId{3}});
  here.seal = there.seal = block_identities(prompt, 16);
  StepSequence other = sequence_of(tokens_of(19), 0, {BlockId{4}, BlockId{5}});
  other.seal = block_identities(other.tokens, 16);
  const StepDone done = run({.step = StepId{1}, .sequences = {here, there, other}});
  ASSERT_THAT(done.roots, SizeIs(3));
  EXPECT_EQ(done.roots[0].root, done.roots[1].root);
  EXPECT_NE(done.roots[0].root, done.roots[2].root);
}

TEST_F(StepRunner, layers_are_pushed_in_order_as_they_are_computed) {
  struct Push : LayerPush {
    std::vector<std::pair<std::uint32_t, bool>> seen;
    void push(const PushPlan&, std::uint32_t layer, bool last) override { seen.emplace_back(layer, last); }
  } push;
  StepSequence sequence = sequence_of(tokens_of(5), 0, {BlockId{0}});
  sequence.push = {{.transfer = TransferId{1}, .block_begin = 0, .block_end = 1, .last = true}};
  run({.step = StepId{1}, .sequences = {sequence}}, &push);
  EXPECT_THAT(push.seen, ElementsAre(std::pair{0u, false}, std::pair{1u, false}, std::pair{2u, true}));
}

TEST(DeviceWorker, posts_what_a_step_gave) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<StepId> posted;
  {
    DeviceWorker worker{[](const StartStep& step) { return StepDone{.step = step.step}; },
                        [&](InstanceEvent event) {
                          const std::lock_guard lock{mutex};
                          posted.push_back(std::get<StepDone>(event).step);
                          changed.notify_one();
                        }};
    for (std::uint64_t i = 1; i <= 3; ++i) {
      worker.submit({.step = StepId{i}});
      std::unique_lock lock{mutex};
      ASSERT_TRUE(changed.wait_for(lock, Milliseconds{5000}, [&] { return posted.size() == i; }));
    }
  }
  EXPECT_THAT(posted, ElementsAre(StepId{1}, StepId{2}, StepId{3}));
}

TEST(DeviceWorker, ends_after_the_step_that_runs_and_posts_it) {
  std::promise<void> started, gate;
  std::mutex mutex;
  std::vector<std::string> order;
  const auto note = [&](const char* what) {
    const std::lock_guard lock{mutex};
    order.emplace_back(what);
  };
  auto worker = std::make_unique<DeviceWorker>(
      [&](const StartStep& step) {
        started.set_value();
        gate.get_future().wait();
        note("ran");
        return StepDone{.step = step.step};
      },
      [&](InstanceEvent) { note("posted"); });
  worker->submit({.step = StepId{1}});
  started.get_future().wait();
  std::promise<void> ending;
  std::thread end([&] {
    ending.set_value();
    worker.reset();
    note("ended");
  });
  ending.get_future().wait();
  note("opened");
  gate.set_value();
  end.join();
  EXPECT_THAT(order, ElementsAre("opened", "ran", "posted", "ended"));
}

}  // namespace
}  // namespace baton
