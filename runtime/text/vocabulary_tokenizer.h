// What both kinds of vocabulary share: the table of tokens with their bytes, special tokens found in text, bos and eos. A kind
// of vocabulary says how a run of plain text is cut.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/loaded_model.h"
#include "runtime/text/special_matcher.h"
#include "runtime/text/tokenizer.h"

namespace baton {

class VocabularyTokenizer : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const final;
  std::optional<std::string> bytes_of(TokenId token, bool spell_special) const final;
  std::uint32_t vocabulary() const final { return static_cast<std::uint32_t>(entries_.size()); }
  bool is_special(TokenId token) const final;
  std::optional<TokenId> special(std::string_view spelling) const final { return spellings_.exactly(spelling); }
  const std::vector<TokenId>& eos_tokens() const final { return eos_; }
  std::optional<TokenId> bos() const final { return bos_; }

 protected:
  using TokenKind = VocabularySource::TokenKind;
  struct Entry {
    TokenKind kind = TokenKind::normal;
    std::string bytes;                 // as it stands in running text
  };

  // The kinds come from the file, and with them what text may become which token:
  //   control, unknown   only with parse_special; no text otherwise, so that nobody can forge a turn
  //   user_defined       always: they belong to the text (<think>), unless they are spelled like a turn's marker, <|so|>,
  //                      or end the sequence: then they are control, whatever the file says
  explicit VocabularyTokenizer(const VocabularySource& source);

  // `run`: not empty, no special token in it that counts, no byte that next_code_point would replace. `prefixed`: the pre-tokeniser
  // puts a blank in front where none stands.
  // `state` is what make_state gave, for the runs of one call.
  struct State {
    virtual ~State() = default;
  };
  virtual std::unique_ptr<State> make_state() const = 0;
  virtual void encode_run(std::string_view run, bool prefixed, State& state, std::vector<TokenId>& out) const = 0;

  bool adds_spaces() const { return prepend_space_ || prefix_space_ != PrefixSpace::never; }

  std::vector<Entry> entries_;         // by id; derived classes turn pieces into bytes

 private:
  using PrefixSpace = VocabularySource::PrefixSpace;
  // Tokens that are found in the text as it is; then, in what is left and normalised, the others.
  struct Matchers {
    SpecialMatcher raw;
    SpecialMatcher normalised;
  };
  void add_matches(const VocabularySource& source);
  std::string normalised(std::string_view text) const;
  void encode_section(std::string_view section, bool begins_text, const SpecialMatcher& matcher, State& state,
                      std::vector<TokenId>& out) const;

  SpecialMatcher spellings_;
  Matchers all_;
  Matchers always_;
  std::vector<TokenId> eos_;
  std::optional<TokenId> bos_;
  bool add_bos_ = false;
  bool add_eos_ = false;
  bool nfc_ = false;
  bool prepend_space_ = false;
  bool marks_spaces_ = false;
  PrefixSpace prefix_space_ = PrefixSpace::never;
};

}  // namespace baton
