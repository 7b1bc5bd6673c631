// A batch as the operators see it: one row a token, sequence after sequence, worked on in slices of adjacent rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "runtime/base/ids.h"
#include "runtime/base/result.h"
#include "runtime/device/device.h"

namespace baton {

struct BatchLimits {
  std::uint32_t tokens = 0;     // of a batch
  std::uint32_t positions = 0;  // of a sequence
  std::uint32_t vocabulary = 0;
  std::uint32_t blocks = 0;  // of the arena
  std::uint32_t block_tokens = 0;
};

class BatchRows {
 public:
  // Errors: invalid_argument, by what is wrong with which sequence. What is here is then what set() got last.
  Status set(std::span<const SequenceChunk> batch, const BatchLimits& limits);

  std::size_t size() const { return tokens_.size(); }
  TokenId token(std::size_t row) const { return tokens_[row]; }
  std::uint32_t position(std::size_t row) const { return positions_[row]; }
  std::uint32_t block_of(std::size_t row) const { return row_blocks_[row]; }  // that the row's K and V go to
  std::span<const std::uint32_t> wanted() const { return wanted_; }  // rows whose logits are asked for, ascending

  // The parts of the sequences in rows [first, last), their rows counted from `first`. Valid until the next call.
  std::span<const kernels::AttentionRows> slice(std::size_t first, std::size_t last);

 private:
  Status add(const SequenceChunk& chunk, std::size_t index, const BatchLimits& limits);

  std::vector<TokenId> tokens_;
  std::vector<std::uint32_t> positions_, row_blocks_, wanted_, blocks_;
  std::vector<std::size_t> first_block_;  // of each sequence's table, in blocks_
  std::vector<kernels::AttentionRows> sequences_, slice_;
};

}  // namespace baton
