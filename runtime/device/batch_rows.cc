#include "runtime/device/batch_rows.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace baton {
namespace {

template <class... Values>
Error refused(fmt::format_string<Values...> text, Values&&... values) {
  return {ErrorCode::invalid_argument, Scope::instance, fmt::format(text, std::forward<Values>(values)...)};
}

}  // namespace

Status BatchRows::set(std::span<const SequenceChunk> batch, const BatchLimits& limits) {
  tokens_.clear();
  positions_.clear();
  row_blocks_.clear();
  wanted_.clear();
  blocks_.clear();
  first_block_.clear();
  sequences_.clear();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (auto added = add(batch[i], i, limits); !added) return added;
  }
  if (tokens_.size() > limits.tokens)
    return refused("a batch of {} tokens, the device takes {}", tokens_.size(), limits.tokens);
  for (std::size_t i = 0; i < sequences_.size(); ++i) sequences_[i].blocks = blocks_.data() + first_block_[i];
  return ok();
}

Status BatchRows::add(const SequenceChunk& chunk, std::size_t index, const BatchLimits& limits) {
  const std::uint64_t end = std::uint64_t{chunk.start} + chunk.tokens.size();
  if (end > limits.positions)
    return refused("sequence {} of the batch ends at {}, the model at {}", index, end, limits.positions);
  const std::uint64_t needed = (end + limits.block_tokens - 1) / limits.block_tokens;
  if (chunk.blocks.size() < needed)
    return refused("sequence {} has {} blocks and needs {}", index, chunk.blocks.size(), needed);
  if (chunk.tokens.empty()) return ok();

  const auto first_row = tokens_.size();
  first_block_.push_back(blocks_.size());
  for (std::uint64_t i = 0; i < needed; ++i) {
    const std::uint32_t block = chunk.blocks[i].value;
    if (block >= limits.blocks) return refused("sequence {} names block {} of {}", index, block, limits.blocks);
    blocks_.push_back(block);
  }
  for (std::size_t i = 0; i < chunk.tokens.size(); ++i) {
    const TokenId token = chunk.tokens[i];
    if (token < 0 || static_cast<std::uint32_t>(token) >= limits.vocabulary) {
      return refused("sequence {} has token {}, the vocabulary ends at {}", index, token, limits.vocabulary);
    }
    const auto position = static_cast<std::uint32_t>(chunk.start + i);
    if (i >= chunk.logits_from) wanted_.push_back(static_cast<std::uint32_t>(tokens_.size()));
    tokens_.push_back(token);
    positions_.push_back(position);
    row_blocks_.push_back(chunk.blocks[position / limits.block_tokens].value);
  }
  sequences_.push_back({.first_position = chunk.start, .first_row = first_row, .rows = chunk.tokens.size()});
  return ok();
}

std::span<const kernels::AttentionRows> BatchRows::slice(std::size_t first, std::size_t last) {
  slice_.clear();
  for (const kernels::AttentionRows& sequence : sequences_) {
    const std::size_t begin = std::max(first, sequence.first_row),
                      end = std::min(last, sequence.first_row + sequence.rows);
    if (begin >= end) continue;
    slice_.push_back(
        {.blocks = sequence.blocks,
         .first_position = sequence.first_position + static_cast<std::uint32_t>(begin - sequence.first_row),
         .first_row = begin - first,
         .rows = end - begin});
  }
  return slice_;
}

}  // namespace baton
