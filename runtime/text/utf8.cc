#include "runtime/text/utf8.h"

namespace baton {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// What may follow a lead byte: how many bytes, and the range of the first of them (Unicode table 3-7).
struct Lead {
  std::uint8_t missing;      // 0: ASCII; 4: no character begins so
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
};
constexpr std::uint8_t kNoLead = 4;

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {0};
  if (byte < 0xC2) return {kNoLead};
  if (byte < 0xE0) return {1};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte < 0xF0) return {2};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte < 0xF4) return {3};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {kNoLead};
}

}  // namespace

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (c >> 6)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (c >> 12)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | (c >> 18)));
    out.push_back(static_cast<char>(0x80 | ((c >> 12) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

char32_t next_code_point(std::string_view text, std::size_t& offset) {
  const auto lead = static_cast<unsigned char>(text[offset]);
  const std::size_t start = offset++;
  if (lead < 0x80) return lead;
  const std::size_t length = lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 0;
  if (length == 0 || start + length > text.size()) return kReplacementCharacter;
  char32_t code_point = lead & (0x7F >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[start + i])) return kReplacementCharacter;
    code_point = (code_point << 6) | (static_cast<unsigned char>(text[start + i]) & 0x3F);
  }
  if (code_point > 0x10FFFF) return kReplacementCharacter;
  offset = start + length;
  return code_point;
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const Lead lead = lead_of(static_cast<unsigned char>(text[i]));
    if (lead.missing == kNoLead || i + lead.missing >= text.size()) return false;
    for (std::size_t k = 1; k <= lead.missing; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if (byte < (k == 1 ? lead.low : 0x80) || byte > (k == 1 ? lead.high : 0xBF)) return false;
    }
    i += lead.missing + 1u;
  }
  return true;
}

std::string repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) append_utf8(out, next_code_point(text, i));
  return out;
}

void Utf8Decoder::push(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (missing_ > 0) {
      if (byte >= low_ && byte <= high_) {
        pending_.push_back(c);
        low_ = 0x80;
        high_ = 0xBF;
        if (--missing_ == 0) {
          out += pending_;
          pending_.clear();
        }
        continue;
      }
      finish(out);             // the character broke off; this byte begins another
    }
    const Lead lead = lead_of(byte);
    if (lead.missing == 0) {
      out.push_back(c);
    } else if (lead.missing == kNoLead) {
      out += kReplacementUtf8;
    } else {
      pending_.assign(1, c);
      missing_ = lead.missing;
      low_ = lead.low;
      high_ = lead.high;
    }
  }
}

void Utf8Decoder::finish(std::string& out) {
  if (missing_ > 0) out += kReplacementUtf8;
  pending_.clear();
  missing_ = 0;
}

}  // namespace baton
