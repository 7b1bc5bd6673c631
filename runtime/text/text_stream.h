// Tokens of one choice to text for the client: whole UTF-8 characters only, stop strings found across token borders, and text
// held back only while it may be the beginning of one.
//
//   stop = "END"      push("a E") -> "a "     push("N") -> ""     push("d") -> "ENd"     push("END, ...") -> "", stopped
//
// A stop string counts where it is first complete in the text; of several complete at the same character, the longest. The deltas
// and finish() together are decode() of all tokens, with bytes that are no UTF-8 as U+FFFD, cut there: however tokens cut the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/text/utf8.h"

namespace baton {

class Tokenizer;

class TextStream {
 public:
  struct Options {
    std::vector<std::string> stop;           // empty strings never match (the gateway refuses them)
    bool include_stop = false;               // keep the matched stop string in the text
    bool skip_special = true;                // special tokens have no text
    bool keep_leading_space = false;         // the text goes on from another: SentencePiece's first blank is part of it
  };
  struct Delta {
    std::string text;                        // to be delivered now, valid UTF-8; may be empty
    bool stopped = false;                    // a stop string matched: nothing may follow
    std::string matched;                     // which
  };

  TextStream(std::shared_ptr<const Tokenizer> tokenizer, Options options);

  Delta push(TokenId token);                 // after `stopped`: nothing, whatever is pushed
  // The end of the choice: what was held back; an unfinished character becomes U+FFFD.
  std::string finish();

 private:
  // One stop string and how much of it the text's end is (Knuth, Morris, Pratt: amortised one step a byte).
  struct Watch {
    std::vector<std::uint32_t> fallback;     // of each length matched, the next shorter one
    std::size_t matched = 0;
  };
  Delta take(std::string_view text);

  std::shared_ptr<const Tokenizer> tokenizer_;
  Options options_;
  std::vector<Watch> watches_;               // one for each of options_.stop
  Utf8Decoder decoder_;
  std::string held_;                         // text that may begin a stop string
  bool at_start_ = true;                     // no text yet: SentencePiece's blank may still come
  bool stopped_ = false;
};

}  // namespace baton
