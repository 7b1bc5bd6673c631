#include "runtime/text/pair_merger.h"

#include <algorithm>

namespace baton {
namespace {

constexpr std::int32_t kEnd = -1;

std::uint64_t key_of(SymbolId left, SymbolId right) { return (std::uint64_t{left} << 32) | right; }

bool comes_later(const PairMerger::Workspace::Candidate& a, const PairMerger::Workspace::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
}

}  // namespace

void PairMerger::add(SymbolId left, SymbolId right, SymbolId merged, std::uint32_t rank) {
  merges_.try_emplace(key_of(left, right), Merge{rank, merged});
}

bool PairMerger::consider(std::int32_t left, Workspace& workspace) const {
  const auto& row = workspace.row;
  const std::int32_t right = row[static_cast<std::size_t>(left)].after;
  if (right == kEnd) return false;
  const SymbolId a = row[static_cast<std::size_t>(left)].symbol;
  const SymbolId b = row[static_cast<std::size_t>(right)].symbol;
  const auto found = merges_.find(key_of(a, b));
  if (found == merges_.end()) return false;
  workspace.heap.push_back({found->second.rank, left, a, b, found->second.merged});
  return true;
}

void PairMerger::merge(std::vector<SymbolId>& symbols, Workspace& workspace) const {
  if (symbols.size() < 2) return;
  auto& row = workspace.row;
  auto& heap = workspace.heap;
  row.clear();
  heap.clear();
  const auto count = static_cast<std::int32_t>(symbols.size());
  for (std::int32_t i = 0; i < count; ++i) {
    row.push_back({symbols[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : kEnd, false});
  }
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i, workspace);
  std::make_heap(heap.begin(), heap.end(), comes_later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), comes_later);
    const Workspace::Candidate candidate = heap.back();
    heap.pop_back();
    auto& left = row[static_cast<std::size_t>(candidate.left)];
    if (left.gone || left.symbol != candidate.left_symbol || left.after == kEnd) continue;
    auto& right = row[static_cast<std::size_t>(left.after)];
    if (right.symbol != candidate.right_symbol) continue;
    left.symbol = candidate.merged;
    right.gone = true;
    left.after = right.after;
    if (right.after != kEnd) row[static_cast<std::size_t>(right.after)].before = candidate.left;
    if (left.before != kEnd && consider(left.before, workspace)) std::push_heap(heap.begin(), heap.end(), comes_later);
    if (consider(candidate.left, workspace)) std::push_heap(heap.begin(), heap.end(), comes_later);
  }
  symbols.clear();
  for (std::int32_t i = 0; i != kEnd; i = row[static_cast<std::size_t>(i)].after) {
    symbols.push_back(row[static_cast<std::size_t>(i)].symbol);
  }
}

}  // namespace baton
