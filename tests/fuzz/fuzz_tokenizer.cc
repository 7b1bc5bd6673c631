// Any bytes through every kind of tokenizer: ids are in range, and nothing that the vocabulary can spell is lost.
#include "runtime/text/make_tokenizer.h"
#include "runtime/text/text_stream.h"
#include "runtime/text/byte_alphabet.h"
#include "tests/fuzz/mutation.h"

namespace {

using baton::TokenId;
using baton::VocabularySource;
using TokenKind = VocabularySource::TokenKind;

void add(VocabularySource& v, std::string piece, TokenKind kind = TokenKind::normal) {
  v.pieces.push_back(std::move(piece));
  v.kinds.push_back(kind);
}

std::string as_utf8(std::uint32_t point) {
  if (point < 0x80) return std::string(1, static_cast<char>(point));
  return {static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 63))};
}

VocabularySource byte_level(const std::string& pre_tokenizer) {
  VocabularySource v;
  v.kind = VocabularySource::Kind::byte_level_bpe;
  v.pre_tokenizer = pre_tokenizer;
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) add(v, special, TokenKind::control);
  std::uint32_t moved = 0x100;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    add(v, as_utf8(printable ? byte : moved++));
  }
  const std::string blank = as_utf8(0x120);
  for (const auto& [a, b] : std::vector<std::pair<std::string, std::string>>{
           {blank, "t"}, {blank, blank}, {"h", "e"}, {"a", "b"}, {"ab", "ab"}, {blank + "t", "he"}, {"1", "2"}, {"'", "s"}}) {
    v.merges.emplace_back(a, b);
    add(v, a + b);
  }
  v.bos = 1;
  v.eos = {2, 0};
  v.nfc = pre_tokenizer == "qwen2";
  v.ignore_merges = pre_tokenizer == "llama-bpe";
  return v;
}

VocabularySource sentencepiece() {
  VocabularySource v;
  v.kind = VocabularySource::Kind::sentencepiece;
  add(v, "<unk>", TokenKind::unknown);
  add(v, "<s>", TokenKind::control);
  add(v, "</s>", TokenKind::control);
  for (int byte = 0; byte < 256; ++byte) add(v, fmt::format("<0x{:02X}>", byte), TokenKind::byte);
  for (const char* piece : {"\u2581", "a", "b", "ab", "\u2581a", "\u2581ab", "\u2581\u2581", "the", "t", "h", "e", "he"}) {
    add(v, piece);
  }
  add(v, "<tool>", TokenKind::user_defined);
  for (std::size_t i = 0; i < v.pieces.size(); ++i) v.scores.push_back(-static_cast<float>(i));
  v.unknown = 0;
  v.bos = 1;
  v.eos = {2};
  v.add_bos = v.prepend_space = true;
  return v;
}

VocabularySource metaspace() {
  VocabularySource v = sentencepiece();
  v.scores.clear();
  v.merges = {{"\u2581", "a"}, {"a", "b"}, {"\u2581", "ab"}, {"h", "e"}};
  v.prepend_space = false;
  v.prefix_space = VocabularySource::PrefixSpace::first;
  v.split_at_spaces = v.nfc = true;
  v.added = {{2, true, true, false}, {static_cast<TokenId>(v.pieces.size() - 1), true, true, true}};
  return v;
}

const std::vector<std::shared_ptr<const baton::Tokenizer>>& tokenizers() {
  static const auto all = [] {
    std::vector<std::shared_ptr<const baton::Tokenizer>> out;
    std::vector<VocabularySource> sources;
    for (const char* name : {"smollm", "llama-bpe", "qwen2", "default"}) sources.push_back(byte_level(name));
    sources.push_back(sentencepiece());
    sources.push_back(metaspace());
    for (const auto& source : sources) {
      auto made = baton::make_tokenizer(source);
      CHECK(made.ok(), "{}", made.error().message);
      out.push_back(*made);
    }
    return out;
  }();
  return all;
}

// What the tokenizer is told to read: valid UTF-8 comes back byte for byte from a byte-level vocabulary.
bool plain_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t which = data[0] % tokenizers().size();   // the rest is the text
  const auto& tokenizer = tokenizers()[which];
  const bool byte_level = which < 4;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const bool parse_special : {false, true}) {
    const auto tokens = tokenizer->encode(text, {.parse_special = parse_special, .add_special = parse_special});
    for (const TokenId token : tokens) {
      if (token < 0 || static_cast<std::uint32_t>(token) >= tokenizer->vocabulary()) __builtin_trap();
      if (!parse_special && byte_level && tokenizer->is_special(token)) __builtin_trap();
    }
    if (!parse_special && byte_level && plain_ascii(text) && tokenizer->decode(tokens, true) != text) __builtin_trap();
    baton::TextStream stream(tokenizer, {.stop = {"ab", "\xc3\xa9"}});
    for (const TokenId token : tokens) {
      if (stream.push(token).stopped) break;
    }
    (void)stream.finish();
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  static const std::vector<std::string> seeds{"the cat's 12 abab  \n\t<|im_end|>",
                                              "\u00e9\u4e2d\U0001f600 <s></s> e\u0301",
                                              "\xff\xc0\xaf\xed\xa0\x80",
                                              "  \r\n 1234 he'll WE'LL", "<|im_start|>user\n<|im_end|><tool>"};
  baton::Random random{seed};
  if (size < 2 || random.below(64) == 0) {
    const std::string which(1, static_cast<char>(random.below(tokenizers().size())));
    return baton::fuzz::put(which + seeds[random.below(seeds.size())], data, max_size);
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
