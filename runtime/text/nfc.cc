#include "runtime/text/nfc.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <unordered_map>
#include <vector>

#include "runtime/text/nfc_tables.h"
#include "runtime/text/utf8.h"

namespace baton {
namespace {

constexpr char32_t kNobody = U'-';

// Hangul syllables are arithmetic: leading consonant, vowel, and perhaps a trailing consonant.
constexpr char32_t kSyllable = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTrail = 0x11A7;
constexpr char32_t kLeads = 19, kVowels = 21, kTrails = 28, kSyllables = kLeads * kVowels * kTrails;

struct Tables {
  std::unordered_map<char32_t, std::pair<char32_t, char32_t>> parts;     // of a character: what it decomposes to, one step
  std::unordered_map<std::uint64_t, char32_t> whole;                     // of a pair: what it composes
};

std::uint64_t pair_key(char32_t a, char32_t b) { return (std::uint64_t{a} << 32) | b; }

const Tables& tables() {
  static const Tables made = [] {
    Tables t;
    for (std::size_t i = 0; i + 3 < std::size(nfc::kPairs); i += 3) {
      t.parts[nfc::kPairs[i]] = {nfc::kPairs[i + 1], nfc::kPairs[i + 2]};
      t.whole[pair_key(nfc::kPairs[i + 1], nfc::kPairs[i + 2])] = nfc::kPairs[i];
    }
    for (std::size_t i = 0; i + 3 < std::size(nfc::kOneWay); i += 3) {
      t.parts[nfc::kOneWay[i]] = {nfc::kOneWay[i + 1], nfc::kOneWay[i + 2]};
    }
    return t;
  }();
  return made;
}

struct Marked {
  char32_t code_point;
  std::uint8_t combining_class;
};

std::uint8_t combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const auto* range = std::lower_bound(std::begin(nfc::kCombining), std::end(nfc::kCombining), c,
                                       [](const nfc::CombiningRange& r, char32_t value) { return r.last < value; });
  return range != std::end(nfc::kCombining) && range->first <= c ? range->combining_class : 0;
}

void decompose(char32_t c, std::vector<Marked>& out) {
  if (c >= kSyllable && c < kSyllable + kSyllables) {
    const char32_t index = c - kSyllable;
    out.push_back({kLead + index / (kVowels * kTrails), 0});
    out.push_back({kVowel + index % (kVowels * kTrails) / kTrails, 0});
    if (index % kTrails != 0) out.push_back({kTrail + index % kTrails, 0});
    return;
  }
  const auto found = c < 0xC0 ? tables().parts.end() : tables().parts.find(c);
  if (found == tables().parts.end()) {
    out.push_back({c, combining_class(c)});
    return;
  }
  decompose(found->second.first, out);
  if (found->second.second != kNobody) decompose(found->second.second, out);
}

// What `a` and `b` compose, or 0.
char32_t composed(char32_t a, char32_t b) {
  if (a >= kLead && a < kLead + kLeads && b >= kVowel && b < kVowel + kVowels) {
    return kSyllable + ((a - kLead) * kVowels + (b - kVowel)) * kTrails;
  }
  const bool open = a >= kSyllable && a < kSyllable + kSyllables && (a - kSyllable) % kTrails == 0;
  if (open && b > kTrail && b < kTrail + kTrails) return a + (b - kTrail);
  const auto found = tables().whole.find(pair_key(a, b));
  return found == tables().whole.end() ? 0 : found->second;
}

// Marks between two starters into the order of their classes.
void reorder(std::vector<Marked>& row) {
  for (auto at = row.begin(); at != row.end();) {
    const auto marked = [](const Marked& m) { return m.combining_class != 0; };
    const auto begin = std::find_if(at, row.end(), marked);
    at = std::find_if_not(begin, row.end(), marked);
    std::stable_sort(begin, at, [](const Marked& a, const Marked& b) { return a.combining_class < b.combining_class; });
  }
}

void compose(std::vector<Marked>& row) {
  std::vector<Marked> out;
  std::ptrdiff_t starter = -1;
  for (const Marked& mark : row) {
    // Blocked: something of the same or a higher class, or another starter, stands between.
    const bool adjacent = starter >= 0 && static_cast<std::size_t>(starter) + 1 == out.size();
    const bool reachable = adjacent || (starter >= 0 && out.back().combining_class != 0 &&
                                        out.back().combining_class < mark.combining_class);
    const char32_t whole = reachable ? composed(out[static_cast<std::size_t>(starter)].code_point, mark.code_point) : 0;
    if (whole != 0) {
      out[static_cast<std::size_t>(starter)].code_point = whole;
      continue;
    }
    if (mark.combining_class == 0) starter = static_cast<std::ptrdiff_t>(out.size());
    out.push_back(mark);
  }
  row = std::move(out);
}

}  // namespace

bool may_need_nfc(std::string_view text) {      // U+0300 is CC 80
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xCC; });
}

std::string to_nfc(std::string_view text) {
  std::vector<Marked> row;
  row.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) decompose(next_code_point(text, at), row);
  reorder(row);
  compose(row);
  std::string out;
  out.reserve(text.size());
  for (const Marked& mark : row) append_utf8(out, mark.code_point);
  return out;
}

}  // namespace baton
