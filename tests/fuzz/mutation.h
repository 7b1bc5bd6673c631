// Helps the fuzzer past the surface: inputs start from whole, valid files (held in memory, so that no corpus lies on a disk),
// and JSON is changed as a tree as well as byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/random.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace baton::fuzz {

inline std::size_t put(const std::string& text, std::uint8_t* data, std::size_t max_size) {
  const std::size_t size = std::min(text.size(), max_size);
  std::memcpy(data, text.data(), size);
  return size;
}

inline nlohmann::json any_json(Random& random) {
  using nlohmann::json;
  switch (random.below(14)) {
    case 0: return nullptr;
    case 1: return json::array();
    case 2: return json::object();
    case 3: return -1;
    case 4: return 0;
    case 5: return random.below(20);
    case 6: return ~std::uint64_t{0};
    case 7: return std::uint64_t{1} << random.below(64);
    case 8: return 1e300;
    case 9: return 0.5;
    case 10: return true;
    case 11: return "";
    case 12: return "a b";
    default: return json::array({"a", random.below(5)});
  }
}

// Replaces, removes, doubles or swaps one node found on a random walk.
inline void change_json(nlohmann::json& top, Random& random) {
  nlohmann::json* node = &top;
  while (node->is_structured() && !node->empty()) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(node->size()));
    auto child = std::next(node->begin(), at);
    if (child->is_structured() && random.below(8) != 0) {
      node = &*child;
      continue;
    }
    switch (random.below(4)) {
      case 0: node->erase(child); break;
      case 1:
        if (node->is_array()) node->push_back(nlohmann::json(*child));
        else (*node)["x" + std::string(1, static_cast<char>('a' + random.below(26)))] = nlohmann::json(*child);
        break;
      case 2: std::swap(*child, *std::next(node->begin(), static_cast<std::ptrdiff_t>(random.below(node->size())))); break;
      default: *child = any_json(random);
    }
    return;
  }
  *node = any_json(random);
}

// The parts of an input: texts with a zero byte between them.
inline std::vector<std::string> parts_of(std::string_view input) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t end = input.find('\0', begin);
    parts.emplace_back(input.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

inline std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) out += '\0';
    out += parts[i];
  }
  return out;
}

// For inputs of JSON parts: now and then a seed, else a change of one part's tree, else of bytes.
inline std::size_t mutate_json_parts(const std::vector<std::string>& seeds, std::uint8_t* data, std::size_t size,
                                     std::size_t max_size, unsigned seed) {
  Random random{seed};
  if (size < 4 || random.below(64) == 0) return put(seeds[random.below(seeds.size())], data, max_size);
  if (random.below(4) == 0) return LLVMFuzzerMutate(data, size, max_size);
  auto parts = parts_of({reinterpret_cast<const char*>(data), size});
  std::string& part = parts[random.below(parts.size())];
  nlohmann::json tree = nlohmann::json::parse(part, nullptr, false);
  if (tree.is_discarded()) return LLVMFuzzerMutate(data, size, max_size);
  for (std::uint64_t i = 0; i <= random.below(3); ++i) change_json(tree, random);
  part = tree.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return put(join(parts), data, max_size);
}

}  // namespace baton::fuzz
