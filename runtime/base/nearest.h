// The known word that a misspelt one was probably meant to be. For errors that say what to do.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

// Insertions, deletions, substitutions and swaps of neighbours that turn one into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known` (the first of equals), empty if none is near enough to be meant: half of the longer word differs.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

// `; did you mean "role"?`, or the list of what is known: `; known: a, b, c`.
std::string suggestion(std::string_view word, const std::vector<std::string>& known);

}  // namespace baton
