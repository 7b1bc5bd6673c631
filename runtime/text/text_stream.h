// Tokens of one choice to text for the client: whole UTF-8 characters only, stop strings found across token borders, and text
// held back while it may be the beginning of one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/ids.h"

namespace baton {

class Tokenizer;

class TextStream {
 public:
  struct Options {
    std::vector<std::string> stop;           // empty strings are refused by the gateway
    bool include_stop = false;               // keep the matched stop string in the text
    bool skip_special = true;                // special tokens have no text
  };
  struct Delta {
    std::string text;                        // to be delivered now, valid UTF-8; may be empty
    bool stopped = false;                    // a stop string matched: nothing may follow
    std::string matched;                     // which
  };

  TextStream(std::shared_ptr<const Tokenizer> tokenizer, Options options);

  Delta push(TokenId token);
  // The end of the choice: what was held back; an unfinished character becomes U+FFFD.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  Options options_;
  std::string pending_bytes_;                // an unfinished UTF-8 character
  std::string held_;                         // text that may begin a stop string
};

}  // namespace baton
