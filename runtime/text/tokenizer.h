// Text to tokens and back. Made from a model's own vocabulary (GGUF metadata or tokenizer.json), immutable, safe to share.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/result.h"

namespace baton {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  struct EncodeOptions {
    bool parse_special = false;              // does text that spells a special token become that token?
    bool add_special = false;                // the model's own bos / eos, if its vocabulary says so
    bool goes_on = false;                    // the text has something before it, so the blank before a text's beginning is not due
  };
  // Any bytes; invalid UTF-8 is read as U+FFFD per bad byte. Never fails, never loses a byte that the vocabulary can spell.
  virtual std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const = 0;

  // The raw bytes of one token as it stands in running text (may be part of a character); nothing for an id out of range.
  virtual std::optional<std::string> bytes_of(TokenId token, bool spell_special) const = 0;
  std::string decode(std::span<const TokenId> tokens, bool spell_special) const;   // concatenated

  virtual std::uint32_t vocabulary() const = 0;
  virtual bool is_special(TokenId token) const = 0;
  virtual std::optional<TokenId> special(std::string_view spelling) const = 0;     // "<|im_start|>" -> 1
  virtual const std::vector<TokenId>& eos_tokens() const = 0;                      // end of sequence and of turn
  virtual std::optional<TokenId> bos() const = 0;
  // Bytes removed from the front of a text's first token (SentencePiece's dummy blank); decode() does it.
  virtual bool strips_leading_space() const { return false; }
};

}  // namespace baton
