// The contract that recovery rests on: a token's K, V and logits are bits that depend on the weights and the tokens up
// to it alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/runtime/device/trace_helpers.h"

namespace baton {
namespace {

constexpr std::uint32_t kTokens = 150;  // two chunks of 64 and a part, several blocks, more than a slice of rows

std::vector<std::string> names_of_models() {
#ifdef __SANITIZE_THREAD__  // what threads do to each other is the same for every model
  return {"llama_f32", "llama_q4_k_q6_k"};
#endif
  std::vector<std::string> names;
  for (const TinyOptions& options : tiny_models()) names.push_back(options.name);
  return names;
}

class Numerics : public testing::TestWithParam<std::string> {
 protected:
  const TinyOptions& options() const {
    return *std::find_if(tiny_models().begin(), tiny_models().end(),
                         [&](const TinyOptions& o) { return o.name == GetParam(); });
  }
  std::unique_ptr<LoadedModel> model_ = make_tiny_model(options());
  std::vector<TokenId> tokens_ = random_tokens(kTokens, model_->spec().vocabulary, 7);

  // Token by token, on the scalar specification, one thread, blocks of 16: what all else must equal.
  Trace expected(KvType type = KvType::bf16) {
    const auto device = make_device(*model_, {.kv_type = type, .isa = "scalar"});
    return trace(*device, tokens_, std::vector<std::uint32_t>{1});
  }
};

TEST_P(Numerics, is_near_the_forward_pass_in_double) {
  const auto reference = reference_logits(*model_, tokens_);
  const bool quantised =
      block_of(options().linear) > 1 || block_of(options().value) > 1 || block_of(options().table) > 1;
  for (const KvType type : {KvType::f32, KvType::bf16}) {
    const auto device = make_device(*model_, {.kv_type = type});
    const auto logits = trace(*device, tokens_, std::vector<std::uint32_t>{kTokens}).logits;
    double worst = 0.0, squares = 0.0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double difference = std::abs(logits[i] - reference[i]);
      worst = std::max(worst, difference);
      squares += difference * difference;
    }
    const double rms = std::sqrt(squares / static_cast<double>(logits.size()));
    std::printf("%s, kv %s: worst %.6f, rms %.6f\n", GetParam().c_str(), type == KvType::f32 ? "f32" : "bf16", worst,
                rms);
    // Activations of 8 bits move single logits by far more than their mean: only the mean is bounded.
    EXPECT_LT(worst, quantised ? INFINITY : type == KvType::f32 ? 0.0001 : 0.15);
    EXPECT_LT(rms, quantised ? 0.1 : type == KvType::f32 ? 0.00001 : 0.02);
  }
}

TEST_P(Numerics, has_the_same_bits_in_every_isa_at_every_chunking) {
  for (const KvType type : {KvType::bf16, KvType::f32}) {
    const Trace alone = expected(type);
    for (const std::string& isa : present_isas()) {
      const auto device = make_device(*model_, {.kv_type = type, .isa = isa});
      for (const std::vector<std::uint32_t>& chunks : std::vector<std::vector<std::uint32_t>>{
               {kTokens}, {1}, {64}, {63, 2, 64}, {16, 1, 1, 33, 5}, {129, 1}, {7}}) {
        EXPECT_TRUE(trace(*device, tokens_, chunks) == alone) << isa << ", first chunk " << chunks[0];
      }
    }
  }
}

TEST_P(Numerics, has_the_same_bits_on_any_number_of_threads_and_in_every_block_size) {
  const Trace alone = expected();
  for (const std::uint32_t threads : {1u, 2u, 3u}) {
    for (const std::uint32_t block_tokens : {16u, 32u, 64u}) {
      const auto device = make_device(*model_, {.threads = threads, .block_tokens = block_tokens});
      for (const std::uint32_t chunk : {kTokens, 37u, 1u}) {
        EXPECT_TRUE(trace(*device, tokens_, std::vector{chunk}) == alone)
            << threads << " threads, blocks of " << block_tokens << ", chunks of " << chunk;
      }
    }
  }
}

// Five sequences advance by random steps, prefill chunks beside single rows, in random order; each must be what it is
// alone.
TEST_P(Numerics, has_the_same_bits_whatever_else_is_in_the_batch) {
  const auto device = make_device(*model_, {.threads = 2});
  std::mt19937_64 random{options().seed};
  struct Sequence {
    std::vector<TokenId> tokens;
    std::vector<BlockId> blocks;
    Trace alone, mixed;
    std::uint32_t done = 0;
  };
  std::vector<Sequence> sequences(5);
  const auto scalar = make_device(*model_, {.isa = "scalar"});
  for (std::uint32_t i = 0; i < sequences.size(); ++i) {
    Sequence& sequence = sequences[i];
    sequence.tokens = random_tokens(40 + 23 * i, model_->spec().vocabulary, 100 + i);
    sequence.alone = trace(*scalar, sequence.tokens, std::vector<std::uint32_t>{1});
    sequence.blocks = blocks_for(*device, sequence.tokens.size(), 10 * i, i);
  }
  for (bool left = true; left;) {
    std::vector<SequenceChunk> batch;
    std::vector<Sequence*> order;
    for (Sequence& sequence : sequences) order.push_back(&sequence);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    std::vector<std::pair<Sequence*, std::size_t>> ran;
    for (Sequence* sequence : order) {
      const std::size_t rest = sequence->tokens.size() - sequence->done;
      const std::size_t size = std::min<std::size_t>(rest, random() % 3 == 0 ? random() % 50 : random() % 2);
      if (size == 0) continue;
      batch.push_back({.tokens = std::span{sequence->tokens}.subspan(sequence->done, size),
                       .start = sequence->done,
                       .blocks = sequence->blocks});
      ran.emplace_back(sequence, size);
    }
    const auto logits = device->run(batch, nullptr);
    ASSERT_TRUE(logits.ok());
    std::size_t row = 0;
    for (const auto& [sequence, size] : ran) {
      const auto values = logits->values.subspan(row * logits->vocabulary, size * logits->vocabulary);
      sequence->mixed.logits.insert(sequence->mixed.logits.end(), values.begin(), values.end());
      sequence->done += static_cast<std::uint32_t>(size);
      row += size;
    }
    left = std::any_of(sequences.begin(), sequences.end(), [](const Sequence& s) { return s.done < s.tokens.size(); });
  }
  for (Sequence& sequence : sequences) {
    sequence.mixed.kv = kv_bits(*device, sequence.blocks, sequence.done);
    EXPECT_TRUE(sequence.mixed == sequence.alone) << sequence.tokens.size() << " tokens";
  }
}

// KV moves to a device of another ISA with other blocks, as after a hand-off, and the sequence goes on there.
TEST_P(Numerics, goes_on_with_the_same_bits_from_any_position_on_another_device) {
  const auto first = make_device(*model_);
  const auto blocks = blocks_for(*first, kTokens);
  const Trace whole = trace(*first, tokens_, std::vector{kTokens}, blocks);
  const std::uint32_t vocabulary = first->vocabulary();
  for (const std::string& isa : present_isas()) {
    const auto second = make_device(*model_, {.isa = isa});
    for (std::uint32_t at = 1; at < kTokens; at += isa == "scalar" ? 31 : 7) {
      const auto to = blocks_for(*second, kTokens, 20, at);
      const KvLayout& layout = first->layout();
      for (std::uint32_t layer = 0; layer < layout.layers; ++layer) {
        for (std::uint32_t begin = 0; begin < at; begin += layout.block_tokens) {
          const std::uint32_t count = std::min(layout.block_tokens, at - begin);
          std::vector<std::byte> bytes(layout.token_bytes() * count);
          first->copy_out(layer, blocks[begin / layout.block_tokens], count, bytes);
          second->copy_in(layer, to[begin / layout.block_tokens], count, bytes);
        }
      }
      const SequenceChunk rest{.tokens = std::span{tokens_}.subspan(at), .start = at, .blocks = to};
      const auto logits = second->run({&rest, 1}, nullptr);
      ASSERT_TRUE(logits.ok());
      Trace resumed{.logits = {whole.logits.begin(), whole.logits.begin() + static_cast<long>(at) * vocabulary},
                    .kv = kv_bits(*second, to, kTokens)};
      resumed.logits.insert(resumed.logits.end(), logits->values.begin(), logits->values.end());
      EXPECT_TRUE(resumed == whole) << isa << " from " << at;
    }
  }
}

TEST_P(Numerics, makes_the_same_logits_when_only_some_are_asked_for) {
  const auto device = make_device(*model_);
  const auto blocks = blocks_for(*device, kTokens);
  const Trace whole = trace(*device, tokens_, std::vector{kTokens}, blocks);
  for (const std::uint32_t from : {kTokens, kTokens - 1, 128u, 127u, 100u, 1u}) {
    const auto again = blocks_for(*device, kTokens, 20, from);
    const SequenceChunk chunk{.tokens = tokens_, .blocks = again, .logits_from = from};
    const auto logits = device->run({&chunk, 1}, nullptr);
    ASSERT_TRUE(logits.ok());
    const Trace part{.logits = {logits->values.begin(), logits->values.end()}, .kv = kv_bits(*device, again, kTokens)};
    const Trace wanted{
        .logits = {whole.logits.begin() + static_cast<long>(from) * device->vocabulary(), whole.logits.end()},
        .kv = whole.kv};
    EXPECT_TRUE(part == wanted) << "from " << from;
  }
}

INSTANTIATE_TEST_SUITE_P(Device, Numerics, testing::ValuesIn(names_of_models()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace baton
