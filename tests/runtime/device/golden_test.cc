// The default model against golden data of a forward pass in double. The file's weights are quantised, and a device
// quantises activations for them: how far that carries is measured against the same device on a float copy of the
// weights, which in turn must meet the golden logits almost exactly.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/device/linear.h"
#include "tests/default_model.h"
#include "tests/runtime/device/trace_helpers.h"

namespace baton {
namespace {

struct Golden {
  std::string name;
  std::vector<TokenId> tokens;  // the prompt, then the greedy continuation but for its last
  std::size_t prompt = 0;
  std::vector<std::pair<TokenId, double>> top;  // at the prompt's last position
  double log_sum = 0.0;
  std::vector<TokenId> greedy;
  std::vector<double> gaps;
  double perplexity = 0.0;  // of the prompt; 0: not given
};

std::vector<Golden> read_golden(const std::string& path) {
  std::vector<Golden> all;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line);
    Golden golden{.name = json["name"],
                  .tokens = json["ids"],
                  .log_sum = json["logsumexp"],
                  .greedy = json["greedy"],
                  .gaps = json["gaps"]};
    golden.prompt = golden.tokens.size();
    golden.perplexity = json.value("perplexity", 0.0);
    for (const auto& entry : json["top20"]) golden.top.emplace_back(entry[0], entry[1]);
    golden.tokens.insert(golden.tokens.end(), golden.greedy.begin(), golden.greedy.end() - 1);
    all.push_back(std::move(golden));
  }
  return all;
}

// The same model with all weights as floats.
class FloatCopy final : public LoadedModel {
 public:
  explicit FloatCopy(const LoadedModel& of) : of_(of), output_norm_(floats(of.output_norm())) {
    embedding_ = floats(of.embedding());
    output_ = of.output().data.data() == of.embedding().data.data() ? embedding_ : floats(of.output());
    for (std::uint32_t i = 0; i < of.spec().layers; ++i) {
      LayerTensors layer = of.layer(i);
      for (TensorView* tensor : {&layer.attn_norm, &layer.q, &layer.k, &layer.v, &layer.o, &layer.ffn_norm, &layer.gate,
                                 &layer.up, &layer.down}) {
        *tensor = floats(*tensor);
      }
      layers_.push_back(layer);
    }
  }
  const ModelSpec& spec() const override { return of_.spec(); }
  const TensorView& embedding() const override { return embedding_; }
  const TensorView& output_norm() const override { return output_norm_; }
  const TensorView& output() const override { return output_; }
  const LayerTensors& layer(std::uint32_t index) const override { return layers_[index]; }
  const VocabularySource& vocabulary() const override { return of_.vocabulary(); }
  const std::string& chat_template() const override { return of_.chat_template(); }
  std::uint64_t fingerprint() const override { return of_.fingerprint() + 1; }

 private:
  TensorView floats(const TensorView& tensor) {
    storage_.push_back(dequantised(tensor));
    return {.type = TensorType::f32,
            .rows = tensor.rows,
            .columns = tensor.columns,
            .data = std::as_bytes(std::span{storage_.back()})};
  }
  const LoadedModel& of_;
  std::deque<std::vector<float>> storage_;
  TensorView output_norm_, embedding_, output_;
  std::vector<LayerTensors> layers_;
};

double log_sum_exp(std::span<const float> logits) {
  const float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float x : logits) sum += std::exp(x - most);
  return most + std::log(sum);
}

std::size_t best_of(std::span<const float> logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// What one device makes of a golden sequence, position by position, and how that differs from the reference.
struct Score {
  double worst = 0.0;  // of the golden top 20 and log sum
  double squares = 0.0, kl = 0.0, worst_kl = 0.0;
  std::size_t values = 0, positions = 0, same_best = 0, steps = 0, same_steps = 0;
  double largest_gap_flipped = 0.0, perplexity_error = 0.0;

  void compare(std::span<const float> reference, std::span<const float> mine) {
    const double reference_sum = log_sum_exp(reference), my_sum = log_sum_exp(mine);
    double divergence = 0.0;
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const double difference = mine[i] - reference[i];
      squares += difference * difference;
      divergence += std::exp(static_cast<float>(reference[i] - reference_sum)) *
                    (reference[i] - reference_sum - mine[i] + my_sum);
    }
    values += mine.size();
    kl += divergence;
    worst_kl = std::max(worst_kl, divergence);
    same_best += best_of(reference) == best_of(mine);
    ++positions;
  }
  void check(const Golden& golden, std::size_t position, std::span<const float> mine, double& loss) {
    if (position + 1 < golden.prompt)
      loss += log_sum_exp(mine) - mine[static_cast<std::size_t>(golden.tokens[position + 1])];
    if (position + 1 == golden.prompt) {
      worst = std::max(worst, std::abs(log_sum_exp(mine) - golden.log_sum));
      for (const auto& [id, logit] : golden.top)
        worst = std::max(worst, std::abs(mine[static_cast<std::size_t>(id)] - logit));
    }
    if (position + 1 < golden.prompt) return;
    const std::size_t step = position + 1 - golden.prompt;
    const bool same = best_of(mine) == static_cast<std::size_t>(golden.greedy[step]);
    ++steps;
    same_steps += same;
    if (!same) largest_gap_flipped = std::max(largest_gap_flipped, golden.gaps[step]);
  }
  double rms() const { return std::sqrt(squares / static_cast<double>(values)); }
  double mean_kl() const { return kl / static_cast<double>(positions); }
  double top_1() const { return 100.0 * static_cast<double>(same_best) / static_cast<double>(positions); }
};

class GoldenLogitsSlow : public testing::Test {
 protected:
  static constexpr std::uint32_t kChunk = 200;

  void SetUp() override {
    const char* shared = std::getenv("BATON_SHARED");
    if (shared == nullptr) GTEST_SKIP() << "BATON_SHARED is not set";
    auto model = load_model(test::default_model_path());
    if (!model) GTEST_SKIP() << "no default model: " << model.error().message;
    model_ = std::move(*model);
    golden_ = read_golden(std::string{shared} + "/golden/smollm2/logits.jsonl");
    ASSERT_FALSE(golden_.empty());
  }

  // Runs every golden sequence, teacher forced; without a reference only what the golden data says is checked.
  Score run(Device& device, Device* reference) {
    Score score;
    for (const Golden& golden : golden_) {
      const auto blocks = blocks_for(device, golden.tokens.size());
      double loss = 0.0;
      for (std::size_t start = 0; start < golden.tokens.size(); start += kChunk) {
        const std::size_t size = std::min<std::size_t>(kChunk, golden.tokens.size() - start);
        const SequenceChunk chunk{.tokens = std::span{golden.tokens}.subspan(start, size),
                                  .start = static_cast<std::uint32_t>(start),
                                  .blocks = blocks};
        const auto mine = device.run({&chunk, 1}, nullptr);
        const auto exact = reference != nullptr ? reference->run({&chunk, 1}, nullptr) : mine;
        EXPECT_TRUE(mine.ok() && exact.ok());
        for (std::size_t i = 0; i < size; ++i) {
          score.check(golden, start + i, mine->row(i), loss);
          if (reference != nullptr) score.compare(exact->row(i), mine->row(i));
        }
      }
      if (golden.perplexity > 0.0) {
        const double perplexity = std::exp(loss / static_cast<double>(golden.prompt - 1));
        score.perplexity_error = std::max(score.perplexity_error, std::abs(perplexity / golden.perplexity - 1.0));
      }
    }
    std::printf("golden: worst %.5f, %zu of %zu greedy steps, largest gap flipped %.4f, perplexity off by %.4f %%\n",
                score.worst, score.same_steps, score.steps, score.largest_gap_flipped, 100 * score.perplexity_error);
    if (reference != nullptr) {
      std::printf("float weights and cache: rms %.5f, mean KL %.2e, worst KL %.2e, top-1 %.2f %% of %zu positions\n",
                  score.rms(), score.mean_kl(), score.worst_kl, score.top_1(), score.positions);
    }
    return score;
  }

  std::unique_ptr<Device> device_on(const LoadedModel& model, KvType type) {
    return make_device(model, {.threads = 2, .kv_type = type, .max_batch_tokens = kChunk}, 120);
  }

  std::unique_ptr<LoadedModel> model_;
  std::vector<Golden> golden_;
};

TEST_F(GoldenLogitsSlow, are_met_with_float_weights_and_cache) {
  const FloatCopy floats{*model_};
  const auto device = device_on(floats, KvType::f32);
  const Score score = run(*device, nullptr);
  EXPECT_LT(score.worst, 0.005);
  EXPECT_LT(score.largest_gap_flipped, 0.01);
  EXPECT_LT(score.perplexity_error, 1e-4);
}

TEST_F(GoldenLogitsSlow, move_little_with_a_bf16_cache_alone) {
  const FloatCopy floats{*model_};
  const auto reference = device_on(floats, KvType::f32), device = device_on(floats, KvType::bf16);
  const Score score = run(*device, reference.get());
  EXPECT_LT(score.mean_kl(), 1e-4);
  EXPECT_LT(score.worst_kl, 0.005);
  EXPECT_LT(score.rms(), 0.05);
  EXPECT_GT(score.top_1(), 99.0);
  EXPECT_LT(score.largest_gap_flipped, 0.1);
  EXPECT_LT(score.perplexity_error, 0.002);
}

TEST_F(GoldenLogitsSlow, are_approached_by_the_file_itself_as_well_as_8_bit_activations_allow) {
  const FloatCopy floats{*model_};
  const auto reference = device_on(floats, KvType::f32);
  for (const KvType type : {KvType::bf16, KvType::f32}) {
    const auto device = device_on(*model_, type);
    const Score score = run(*device, reference.get());
    EXPECT_LE(score.mean_kl(), 0.003);
    EXPECT_LE(score.worst_kl, 0.08);
    EXPECT_LE(score.rms(), 0.25);
    EXPECT_GE(score.top_1(), 96.5);
    EXPECT_LE(score.largest_gap_flipped, 0.5);
    EXPECT_LE(score.perplexity_error, 0.01);
  }
}

}  // namespace
}  // namespace baton
