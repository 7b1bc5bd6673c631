// What one choice of a request has delivered: each output token exactly once and in order, its text, and its end.
//
//   take(token of index i)    i == delivered: emitted, with what was buffered behind it
//                             i <  delivered: a repeat, ignored
//                             i >  delivered: kept until the gap closes, at most kEarlyTokens of them
//
// A token that ends the choice counts and is emitted. The text of an eos or stop token is not part of the output unless
// include_stop_in_output asks for it. Usage counts as vLLM's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cluster/request_core.h"
#include "runtime/text/text_stream.h"

namespace baton {

class ChoiceStream {
 public:
  static constexpr std::size_t kEarlyTokens = 256;

  ChoiceStream(std::uint32_t choice, const RequestSpec& spec, const std::shared_ptr<const Tokenizer>& tokenizer);

  struct Progress {
    std::vector<EmitToken> emitted;
    bool stopped_here = false;           // by a stop string or the limit: the instance does not know, tell it
    bool overflow = false;               // too far ahead: tokens were lost on the way
  };
  Progress take(const RequestSpec& spec, const TokenOut& token);
  // Another attempt goes on from what was delivered; what was buffered belonged to the last one.
  void begin_attempt() { early_.clear(); }
  // Ends a choice that has no token to come (max_tokens 0).
  EmitToken end_without_token();

  bool done() const { return done_; }
  const std::vector<TokenId>& delivered() const { return delivered_; }
  void check_invariants(const RequestSpec& spec) const;

 private:
  EmitToken emit(const RequestSpec& spec, const TokenOut& token, Progress& progress);

  std::uint32_t choice_;
  TextStream text_;
  std::vector<TokenId> eos_;
  std::vector<TokenId> delivered_;
  std::vector<TokenOut> early_;          // by index, no two alike, all beyond delivered_
  bool done_ = false;
};

}  // namespace baton
