// A request in a cluster where instances die, come back, fail and refuse at random, and messages of all epochs arrive in any order
// and more than once: every choice's stream is the undisturbed one, and there is one outcome.
#include <gtest/gtest.h>

#include <algorithm>
#include <variant>

#include "runtime/base/random.h"
#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

constexpr std::uint32_t kMaxTokens = 24;

// Token `index` of choice `choice`, whoever computes it.
char letter_of(std::uint32_t choice, std::uint32_t index) { return static_cast<char>('a' + draw64(3, choice, index) % 26); }
std::uint32_t length_of(std::uint32_t choice) { return 1 + static_cast<std::uint32_t>(draw64(5, choice) % kMaxTokens); }
bool ends_by_eos(std::uint32_t choice) { return draw64(6, choice) % 2 == 0; }

TokenOut true_token(RequestKey key, std::uint32_t choice, std::uint32_t index) {
  const bool last = index + 1 == length_of(choice);
  const bool eos = last && ends_by_eos(choice);
  return token(key, choice, index, eos ? '$' : letter_of(choice, index),
               eos ? FinishReason::stop : last ? FinishReason::length : FinishReason::none);
}

enum class Faults {
  none,
  random,
  persecution,     // whoever brought a token dies of it, often
};

class World {
 public:
  World(std::uint64_t seed, Faults faults) : random_(seed), faults_(faults == Faults::random), persecution_(faults == Faults::persecution) {
    spec_ = plain_request();
    spec_.choices = persecution_ ? 1 : static_cast<std::uint32_t>(1 + random_.below(4));
    spec_.sampling.max_tokens = kMaxTokens;
    if (persecution_) spec_.max_attempts = 2;
    streams_.resize(spec_.choices);
    core_ = std::make_unique<RequestCore>(spec_, std::make_shared<LetterTokenizer>());
  }

  void run() {
    take(core_->on(StartRequest{}, now_));
    for (int step = 0; step < 20000 && !outcome_; ++step) {
      core_->check_invariants();
      if (faults_ && random_.below(12) == 0) fault();
      else if (in_flight_.empty() || random_.below(40) == 0) tick();
      else deliver();
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
    ASSERT_TRUE(outcome_.has_value()) << "it never ended";
    for (int late = 0; late < 50 && !in_flight_.empty(); ++late) deliver();
    for (const char* name : {"P", "Q", "D", "E", "M"}) take(core_->on(InstanceLost{living(name)}, now_));
    take(core_->on(RequestTick{}, now_ + Milliseconds{10'000'000}));
    EXPECT_FALSE(core_->ended() && said_after_outcome_);
  }

  void expect_true_streams() const {
    ASSERT_FALSE(outcome_->error) << outcome_->error->message;
    std::uint32_t total = 0;
    for (std::uint32_t c = 0; c < spec_.choices; ++c) {
      std::string expected;
      for (std::uint32_t i = 0; i < length_of(c); ++i) expected += static_cast<char>(true_token({}, c, i).token.chosen.token);
      EXPECT_EQ(streams_[c].tokens, expected);
      EXPECT_EQ(streams_[c].finish, ends_by_eos(c) ? "stop" : "length");
      if (ends_by_eos(c)) expected.pop_back();
      EXPECT_EQ(streams_[c].text, expected);
      total += length_of(c);
    }
    EXPECT_EQ(outcome_->completion_tokens, total);
  }
  std::uint32_t recoveries() const { return outcome_->recoveries_prefill + outcome_->recoveries_decode; }

 private:
  struct Stream { std::string tokens, text, finish; };
  struct FromInstance { InstanceRef from; std::variant<TokenOut, AttemptFailed> message; };
  using Message = std::variant<FromInstance, Assigned, AssignRefused>;

  InstanceRef living(const std::string& name) { return instance(name + std::to_string(lives_[name] + 1)); }
  std::string one_of(const std::string& names) { return std::string(1, names[random_.below(names.size())]); }

  void take(const RequestCommands& commands) {
    for (const RequestCommand& command : commands) {
      said_after_outcome_ = said_after_outcome_ || outcome_.has_value();
      std::visit([this](const auto& c) { carry_out(c); }, command);
    }
  }

  void carry_out(const SendAssign& c) {
    const auto chance = random_.below(10);
    const RequestKey key = c.message.key;
    if (faults_ && chance == 0) return;                                     // the scheduler is away
    if (faults_ && chance == 1 && key.epoch.value > 1) {
      in_flight_.push_back(AssignRefused{key, {ErrorCode::unavailable, Scope::cluster, "nobody"}});
      return;
    }
    if (chance < 4) {
      const InstanceRef mixed = living("M");
      in_flight_.push_back(Assigned{key, mixed, mixed, HandOffMode::local});
    } else {
      const HandOffMode mode = chance < 7 ? HandOffMode::pull : HandOffMode::push_by_layer;
      in_flight_.push_back(Assigned{key, living(one_of("PQ")), living(one_of("DE")), mode});
    }
  }
  void carry_out(const SendToInstance<PrefillRequest>& c) {
    const PrefillRequest& m = c.message;
    const std::uint32_t base = static_cast<std::uint32_t>(m.tokens.size()) - m.prompt_tokens;
    for (std::uint32_t choice = m.first_choice; choice < m.first_choice + m.choices; ++choice) {
      for (std::uint32_t i = 0; i < base; ++i) EXPECT_EQ(m.tokens[m.prompt_tokens + i], letter_of(choice, i));
      produce(c.to, m.key, choice, base, m.mode == HandOffMode::local ? length_of(choice) : base + 1);
    }
  }
  void carry_out(const SendToInstance<DecodeRequest>& c) {
    const DecodeRequest& m = c.message;
    const std::uint32_t base = static_cast<std::uint32_t>(m.tokens.size()) - m.prompt_tokens;
    for (const ChoiceStart& start : m.choices) {
      EXPECT_EQ(start.first_token, letter_of(start.choice, base));
      produce(c.to, m.key, start.choice, base + 1, length_of(start.choice));
    }
  }
  void produce(const InstanceRef& from, RequestKey key, std::uint32_t choice, std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t i = begin; i < end; ++i) {
      in_flight_.push_back(FromInstance{from, true_token(key, choice, i)});
      if (random_.below(4) == 0) in_flight_.push_back(FromInstance{from, true_token(key, choice, i)});
    }
    if (faults_ && random_.below(10) == 0) in_flight_.push_back(FromInstance{from, AttemptFailed{key, from, random_error()}});
  }
  Error random_error() {
    const ErrorCode codes[] = {ErrorCode::queue_full, ErrorCode::device_failed, ErrorCode::lease_ended, ErrorCode::out_of_memory};
    return {codes[random_.below(4)], Scope::instance, "by chance"};
  }
  void carry_out(const EmitToken& c) {
    EXPECT_EQ(streams_[c.choice].finish, "") << "something follows the end";
    streams_[c.choice].text += c.text;
    for (const ScoredToken& t : c.tokens) streams_[c.choice].tokens += static_cast<char>(t.chosen.token);
    streams_[c.choice].finish = c.finish_reason;
  }
  void carry_out(const SetRequestTimer& c) { timer_ = c.at; }
  void carry_out(const RequestOutcome& c) {
    EXPECT_FALSE(outcome_.has_value()) << "a second outcome";
    outcome_ = c;
  }
  template <class Other>
  void carry_out(const Other&) {}

  void deliver() {
    const std::size_t had = streams_[0].tokens.size();
    const std::size_t place = random_.below(std::min<std::size_t>(in_flight_.size(), 16));
    const Message message = in_flight_[place];
    if (random_.below(8) != 0) in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(place));   // else once more later
    take(std::visit([this](const auto& m) { return give(m); }, message));
    const auto* spoke = std::get_if<FromInstance>(&message);
    if (persecution_ && spoke != nullptr && streams_[0].tokens.size() > had && random_.below(2) == 0) lose(spoke->from);
  }
  RequestCommands give(const FromInstance& m) {
    if (const auto* token = std::get_if<TokenOut>(&m.message)) return core_->on(m.from, *token, now_);
    return core_->on(std::get<AttemptFailed>(m.message), now_);
  }
  RequestCommands give(const Assigned& m) {
    const RequestCommands said = core_->on(m, now_);
    // What was assigned may have died meanwhile: whoever has no connection to it says so.
    for (const InstanceRef& ref : {m.prefill, m.decode}) {
      const std::string name(1, static_cast<char>(ref.id.value));
      if (living(name) != ref) lost_.push_back(ref);
    }
    return said;
  }
  RequestCommands give(const AssignRefused& m) { return core_->on(m, now_); }

  // Some of what a lost instance had sent arrives all the same.
  void fault() {
    lose(living(one_of("PQDEM")));
  }
  void lose(const InstanceRef& dead) {
    ++lives_[std::string(1, static_cast<char>(dead.id.value))];
    std::erase_if(in_flight_, [&](const Message& message) {
      const auto* from = std::get_if<FromInstance>(&message);
      return from != nullptr && from->from == dead && random_.below(2) == 0;
    });
    take(core_->on(InstanceLost{dead}, now_));
  }
  void tick() {
    for (const InstanceRef& ref : std::exchange(lost_, {})) take(core_->on(InstanceLost{ref}, now_));
    if (outcome_) return;
    now_ = std::max(now_, std::min(timer_, now_ + Milliseconds{random_.below(600)}));
    take(core_->on(RequestTick{}, now_));
  }

  Random random_;
  bool faults_, persecution_;
  RequestSpec spec_;
  std::unique_ptr<RequestCore> core_;
  std::vector<Message> in_flight_;
  std::vector<InstanceRef> lost_;
  std::map<std::string, std::uint64_t> lives_;
  std::vector<Stream> streams_;
  std::optional<RequestOutcome> outcome_;
  bool said_after_outcome_ = false;
  Instant now_ = at(1);
  Instant timer_ = at(1);
};

TEST(RequestProperty, delivers_the_undisturbed_streams_in_any_order_of_messages) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    World world{seed, Faults::none};
    world.run();
    world.expect_true_streams();
    EXPECT_EQ(world.recoveries(), 0u);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(RequestProperty, delivers_the_undisturbed_streams_while_instances_die) {
  std::uint32_t recoveries = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    World world{seed, Faults::random};
    world.run();
    world.expect_true_streams();
    recoveries += world.recoveries();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(recoveries, 2000u) << "the faults must bite";
}

// Of two attempts that bring nothing a request dies, of any number that bring something it does not.
TEST(RequestProperty, delivers_the_undisturbed_stream_however_often_progress_is_punished) {
  std::uint32_t worst = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    World world{seed, Faults::persecution};
    world.run();
    world.expect_true_streams();
    worst = std::max(worst, world.recoveries());
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(worst, 4u) << "twice as often as a choice without progress may fail";
}

}  // namespace
}  // namespace baton
