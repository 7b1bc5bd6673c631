#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text/pattern.h"

#include <pcre2.h>
#include <spdlog/fmt/fmt.h>

#include <array>
#include <new>

namespace baton {
namespace {

constexpr std::uint32_t kMatchLimit = 1'000'000;     // steps of one match; a word takes tens
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;

}  // namespace

void Pattern::Deleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }
void PatternSearch::DataDeleter::operator()(pcre2_real_match_data_8* data) const { pcre2_match_data_free(data); }
void PatternSearch::ContextDeleter::operator()(pcre2_real_match_context_8* context) const { pcre2_match_context_free(context); }

Result<Pattern> Pattern::compile(const std::string& expression) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  // NEVER_BACKSLASH_C: \C would cut characters in two. The JIT is an optimisation; where it is missing, the interpreter runs.
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr);
  if (compiled == nullptr) {
    std::array<PCRE2_UCHAR, 256> reason{};
    pcre2_get_error_message(code, reason.data(), reason.size());
    return Error{ErrorCode::invalid_file, Scope::instance,
                 fmt::format("the tokenizer's pattern \"{}\" cannot be used: {} at byte {}", expression,
                             reinterpret_cast<const char*>(reason.data()), offset)};
  }
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
  return Pattern(compiled);
}

PatternSearch::PatternSearch() : data_(pcre2_match_data_create(1, nullptr)), context_(pcre2_match_context_create(nullptr)) {
  if (!data_ || !context_) throw std::bad_alloc();
  pcre2_set_match_limit(context_.get(), kMatchLimit);
  pcre2_set_heap_limit(context_.get(), kHeapLimitKib);
}

std::optional<TextSpan> PatternSearch::find(const Pattern& pattern, std::string_view text, std::size_t from) {
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const std::uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
  int found = pcre2_match(pattern.code_.get(), subject, text.size(), from, options, data_.get(), context_.get());
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) {           // the interpreter's stack is on the heap
    found = pcre2_match(pattern.code_.get(), subject, text.size(), from, options | PCRE2_NO_JIT, data_.get(), context_.get());
  }
  if (found < 0) return std::nullopt;
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_.get());
  if (bounds[1] <= bounds[0] || bounds[0] < from) return std::nullopt;    // \K and lookbehind can turn a match around
  return TextSpan{bounds[0], bounds[1]};
}

}  // namespace baton
