// The merging at the heart of both vocabularies: symbols in a row, of all neighbours that may merge the pair of the lowest rank
// first, the leftmost of equals, until no pair is left. Byte-level BPE ranks by the merge list, SentencePiece by the score of
// what comes out. O(n log n) in the row's length.
//
//   l o w e r     (e r -> er: 0), (l o -> lo: 1), (lo w -> low: 2)
//   l o w er      0
//   lo w er       1
//   low er        2
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "runtime/base/random.h"

namespace baton {

using SymbolId = std::uint32_t;

class PairMerger {
 public:
  // Memory that one caller keeps between calls.
  struct Workspace {
    struct Node {
      SymbolId symbol;
      std::int32_t before;
      std::int32_t after;
      bool gone;
    };
    struct Candidate {
      std::uint32_t rank;
      std::int32_t left;
      SymbolId left_symbol;              // as they were: if either has grown since, the candidate is stale
      SymbolId right_symbol;
      SymbolId merged;
    };
    std::vector<Node> row;
    std::vector<Candidate> heap;
  };

  void reserve(std::size_t pairs) { merges_.reserve(pairs); }
  void add(SymbolId left, SymbolId right, SymbolId merged, std::uint32_t rank);      // the first of a pair counts

  // Merges `symbols` in place. At most 2^31 - 1 of them.
  void merge(std::vector<SymbolId>& symbols, Workspace& workspace) const;

 private:
  struct Merge {
    std::uint32_t rank;
    SymbolId merged;
  };
  struct Hash {
    std::size_t operator()(std::uint64_t key) const { return mix64(key); }
  };
  bool consider(std::int32_t left, Workspace& workspace) const;       // appends to the heap's memory, unordered

  std::unordered_map<std::uint64_t, Merge, Hash> merges_;
};

}  // namespace baton
