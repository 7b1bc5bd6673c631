// Unicode's normalisation form C, as tokenizer.json's normaliser NFC asks for it (Qwen): an e and a combining acute become one
// character. Unicode Standard Annex 15, over the tables of Unicode 14.
#pragma once

#include <string>
#include <string_view>

namespace baton {

// Nothing below U+0300 changes, so most text is recognised as normal at a glance. `text` as next_code_point reads it.
bool may_need_nfc(std::string_view text);
std::string to_nfc(std::string_view text);

}  // namespace baton
