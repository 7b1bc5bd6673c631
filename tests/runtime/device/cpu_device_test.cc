#include "runtime/device/cpu_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "runtime/device/rope_angles.h"
#include "tests/runtime/device/trace_helpers.h"

namespace baton {
namespace {

using testing::HasSubstr;

const LoadedModel& model() {
  static const auto tiny = make_tiny_model({.linear = TensorType::q4_1, .layers = 3});
  return *tiny;
}

TEST(CpuDevice, tells_the_observer_of_each_layer_once_its_kv_is_stored) {
  struct Watch final : LayerObserver {
    Device& device;
    std::span<const BlockId> blocks;
    std::vector<std::uint32_t> layers;
    std::vector<std::vector<std::byte>> seen;  // K and V of the layer when it was told
    Watch(Device& d, std::span<const BlockId> b) : device(d), blocks(b) {}
    void on_layer_done(std::uint32_t layer) override {
      layers.push_back(layer);
      seen.push_back(kv_bits(device, blocks, 300));
    }
  };
  const auto device = make_device(model());
  const auto tokens = random_tokens(300, device->vocabulary(), 1);
  const auto blocks = blocks_for(*device, tokens.size());
  const SequenceChunk chunk{.tokens = tokens, .blocks = blocks, .logits_from = 299};
  Watch watch{*device, blocks};
  ASSERT_TRUE(device->run({&chunk, 1}, &watch).ok());
  EXPECT_EQ(watch.layers, (std::vector<std::uint32_t>{0, 1, 2}));
  const auto after = kv_bits(*device, blocks, 300);
  const std::size_t layer_bytes = after.size() / 3;
  for (std::size_t layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(
        std::memcmp(watch.seen[layer].data() + layer * layer_bytes, after.data() + layer * layer_bytes, layer_bytes), 0)
        << layer;
  }
}

TEST(CpuDevice, makes_rows_of_logits_in_the_order_of_sequences_and_tokens_and_none_that_nobody_asked_for) {
  const auto device = make_device(model());
  const auto tokens = random_tokens(40, device->vocabulary(), 2);
  const auto first = blocks_for(*device, 40, 0), second = blocks_for(*device, 40, 10),
             third = blocks_for(*device, 40, 20);
  const Trace alone = trace(*device, tokens, std::vector{40u}, third);
  const SequenceChunk batch[] = {
      {.tokens = std::span{tokens}.first(20), .blocks = first, .logits_from = 18},
      {.tokens = std::span{tokens}.first(7), .blocks = second, .logits_from = 7},
      {.tokens = {}, .start = 3, .blocks = second},
      {.tokens = std::span{tokens}.subspan(30), .start = 30, .blocks = third, .logits_from = 9}};
  const auto logits = device->run(batch, nullptr);
  ASSERT_TRUE(logits.ok());
  ASSERT_EQ(logits->values.size(), 3u * device->vocabulary());
  for (const auto& [row, position] : {std::pair{0, 18}, {1, 19}, {2, 39}}) {
    EXPECT_EQ(std::memcmp(logits->row(static_cast<std::size_t>(row)).data(),
                          alone.logits.data() + position * static_cast<int>(device->vocabulary()),
                          device->vocabulary() * sizeof(float)),
              0)
        << row;
  }
}

TEST(CpuDevice, gives_out_the_first_tokens_of_a_block_and_takes_them_in_elsewhere) {
  for (const KvType type : {KvType::bf16, KvType::f32}) {
    for (const std::uint32_t block_tokens : {16u, 64u}) {
      const auto device = make_device(model(), {.block_tokens = block_tokens, .kv_type = type});
      const KvLayout& layout = device->layout();
      std::vector<std::byte> whole(layout.block_bytes());
      for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = static_cast<std::byte>(i * 31 + i / 256);
      device->copy_in(1, BlockId{5}, block_tokens, whole);
      for (const std::uint32_t tokens : {1u, 7u, block_tokens}) {
        std::vector<std::byte> out(layout.token_bytes() * tokens), again(out.size());
        device->copy_out(1, BlockId{5}, tokens, out);
        const std::size_t head = layout.head_dim * bytes_of(type) * tokens,
                          apart = layout.head_elements() * bytes_of(type);
        for (std::size_t i = 0; i < 2 * layout.kv_heads; ++i) {
          EXPECT_EQ(std::memcmp(out.data() + i * head, whole.data() + i * apart, head), 0) << tokens << ' ' << i;
        }
        const auto view = device->host_view(1, BlockId{5}, tokens);
        ASSERT_TRUE(view.has_value());
        ASSERT_EQ(view->bytes(), out.size());
        EXPECT_EQ(view->runs, tokens == block_tokens ? 1u : 2 * layout.kv_heads);
        for (std::uint32_t i = 0; i < view->runs; ++i) {
          EXPECT_EQ(std::memcmp(view->base + std::size_t{i} * view->stride_bytes,
                                out.data() + std::size_t{i} * view->run_bytes, view->run_bytes),
                    0);
        }
        device->copy_in(2, BlockId{9}, tokens, out);
        device->copy_out(2, BlockId{9}, tokens, again);
        EXPECT_EQ(again, out);
      }
    }
  }
}

// A fork shares full blocks and gets its own copy of the partial one; both then go their way.
TEST(CpuDevice, copies_a_block_so_that_a_fork_goes_on_alone) {
  const auto device = make_device(model());
  const auto tokens = random_tokens(41, device->vocabulary(), 3);
  auto other = tokens;
  other[40] = (tokens[40] + 1) % static_cast<TokenId>(device->vocabulary());
  const std::vector<BlockId> mine{BlockId{1}, BlockId{2}, BlockId{3}}, fork{BlockId{1}, BlockId{2}, BlockId{7}};
  trace(*device, std::span{tokens}.first(40), std::vector{40u}, mine);
  device->copy_block(BlockId{3}, BlockId{7});
  const SequenceChunk steps[] = {{.tokens = std::span{tokens}.subspan(40), .start = 40, .blocks = mine},
                                 {.tokens = std::span{other}.subspan(40), .start = 40, .blocks = fork}};
  ASSERT_TRUE(device->run(steps, nullptr).ok());
  const auto mine_kv = kv_bits(*device, mine, 41), fork_kv = kv_bits(*device, fork, 41);
  EXPECT_EQ(mine_kv, trace(*device, tokens, std::vector{41u}, blocks_for(*device, 41, 20)).kv);
  EXPECT_EQ(fork_kv, trace(*device, other, std::vector{41u}, blocks_for(*device, 41, 30)).kv);
}

TEST(CpuDevice, refuses_what_it_cannot_do_and_says_what_to_do) {
  const auto refusal = [](const CpuDeviceOptions& options) {
    const auto device = make_cpu_device(model(), options);
    return device.ok() ? std::string{"made"} : device.error().message;
  };
  EXPECT_THAT(refusal({.isa = "neon"}), HasSubstr("use scalar, avx2 or avx512"));
  EXPECT_THAT(refusal({.block_tokens = 24}), HasSubstr("use 16, 32 or 64"));
  EXPECT_THAT(refusal({.max_batch_tokens = 0}), HasSubstr("allow some"));
  EXPECT_THAT(refusal({.max_model_len = 513}), HasSubstr("context of 512"));
  EXPECT_THAT(refusal({.max_batch_tokens = 0xffffffffu}), HasSubstr("ask for fewer tokens in a batch"));
  auto device = make_cpu_device(model(), {});
  ASSERT_TRUE(device.ok());
  EXPECT_EQ((*device)->allocate_kv(0).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ((*device)->allocate_kv(0xffffffffu).error().code, ErrorCode::out_of_memory);
  EXPECT_TRUE((*device)->allocate_kv(4).ok()) << "after a refusal another try may do";
}

TEST(CpuDevice, refuses_a_wrong_batch_and_goes_on) {
  const auto device = make_device(model(), {.max_batch_tokens = 100});
  const auto tokens = random_tokens(600, device->vocabulary(), 4);
  const auto blocks = scattered_blocks(40, 0, 1);
  const std::vector<TokenId> negative{-1}, beyond{101};
  const std::vector<BlockId> outside{BlockId{64}};
  const struct {
    SequenceChunk chunk;
    const char* says;
  } cases[] = {
      {{.tokens = std::span{tokens}.first(101), .blocks = blocks}, "101 tokens"},
      {{.tokens = std::span{tokens}.first(10), .start = 503, .blocks = blocks}, "ends at 513"},
      {{.tokens = std::span{tokens}.first(17), .blocks = std::span{blocks}.first(1)}, "needs 2"},
      {{.tokens = negative, .blocks = blocks}, "token -1"},
      {{.tokens = beyond, .blocks = blocks}, "token 101"},
      {{.tokens = std::span{tokens}.first(1), .blocks = outside}, "block 64"},
  };
  for (const auto& [chunk, says] : cases) {
    const auto logits = device->run({&chunk, 1}, nullptr);
    ASSERT_FALSE(logits.ok()) << says;
    EXPECT_THAT(logits.error().message, HasSubstr(says));
  }
  const SequenceChunk good{.tokens = std::span{tokens}.first(100), .blocks = blocks};
  EXPECT_TRUE(device->run({&good, 1}, nullptr).ok());
  EXPECT_TRUE(device->run({}, nullptr).ok()) << "an empty batch";
}

TEST(CpuDevice, has_an_identity_of_weights_and_of_kernels_apart_from_how_it_runs) {
  const auto one = make_device(model(), {.isa = "scalar"}),
             two = make_device(model(), {.threads = 2, .block_tokens = 64, .max_model_len = 100});
  EXPECT_EQ(one->model_fingerprint(), two->model_fingerprint());
  EXPECT_EQ(one->kernel_identity(), two->kernel_identity());
  const auto other =
      make_tiny_model({.linear = TensorType::q4_1, .layers = 3, .rope_base = 10001.0});  // the same bytes, other angles
  EXPECT_NE(make_device(*other)->model_fingerprint(), one->model_fingerprint());
}

TEST(RopeAngles, are_the_sines_and_cosines_to_the_last_place) {
  for (const double angle :
       {0.0, 1e-9, 0.5, 0.7853981, 0.7853982, 1.0, 1.5707963, 3.14159265, 4.7, 100.25, 8191.0, 131071.0, 1048575.5}) {
    const SineCosine turn = sine_cosine(angle);
    EXPECT_NEAR(turn.sine, std::sin(angle), 1e-15 + 2e-16 * angle) << angle;
    EXPECT_NEAR(turn.cosine, std::cos(angle), 1e-15 + 2e-16 * angle) << angle;
  }
  for (const double base : {10000.0, 100000.0, 500000.0, 1e6, 1.0, 2.0}) {
    for (const std::uint32_t dim : {2u, 12u, 64u, 128u}) {
      const RopeAngles angles{ModelSpec{.rope_dim = dim, .rope_base = base}};
      ASSERT_EQ(angles.pairs(), dim / 2);
      for (std::uint32_t i = 0; i < dim / 2; ++i) {
        const double expected = std::pow(base, -2.0 * i / dim);
        EXPECT_NEAR(angles.frequencies()[i] / expected, 1.0, 1e-13) << base << ' ' << dim << ' ' << i;
      }
    }
  }
}

}  // namespace
}  // namespace baton
