// The instances that the scheduler knows, how loaded each is believed to be, and what it assigned to whom.
//
// An instance's load is its last report, plus what it cannot have reported yet:
//   prefill   prompts assigned less than kReportDelay before the report came: they may have been on their way still
//   decode    whatever was assigned and has not ended, where that is more than reported: a request reaches its decode instance
//             only after its prefill, which may be long after it was assigned
// An assignment is forgotten when it is reported ended, when its gateway or its instances leave, or at its deadline.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <queue>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/base/time.h"
#include "runtime/cluster/routing.h"
#include "runtime/messages/membership.h"
#include "runtime/messages/request.h"

namespace baton {

class LoadTable {
 public:
  static constexpr Duration kReportDelay = Milliseconds{50};

  struct Instance {
    Hello hello;
    std::uint32_t kv_class = 0;            // equal for instances between which KV may move
    Instant heard;                         // the last hello or report
    LoadReport report;
    bool reported = false;
    std::uint64_t recent_tokens = 0;       // assigned prompts that no report has in it yet
    std::uint32_t recent_requests = 0;
    std::uint32_t maybe_reported = 0;      // of these, assigned before the report came
    std::uint64_t owed_tokens = 0;         // decode: prompt and output of all assigned and not ended
    std::uint32_t owed_requests = 0;
    struct Recent { Instant at; RequestKey key; };
    std::deque<Recent> recent;

    // Recent requests that the report does not hold: it holds those assigned before it came, as far as it holds so many.
    std::uint32_t unreported() const { return recent_requests - std::min(maybe_reported, report.waiting + report.running); }
    // Of an instance that had nothing to do, one runs. Never too high, or it would refuse what the instance has room for: that
    // decides for itself when more come than this says.
    std::uint32_t waiting() const {
      const bool one_runs = report.waiting + report.running == 0 && unreported() > 0;
      return report.waiting + unreported() - (one_runs ? 1 : 0);
    }
    bool full() const { return report.queue_capacity > 0 && waiting() >= report.queue_capacity; }
  };
  // What a decision asks of every instance, small and side by side so that a scan of a thousand stays in cache.
  struct Standing {
    Instant heard;
    std::uint32_t waiting = 0;
    std::uint32_t kv_class = 0;
    bool prefills = false;
    bool decodes = false;
    bool draining = false;
    bool full = false;
    bool apart = false;                    // reports partners that it cannot reach
  };

  bool join(const Hello& hello, Instant now);      // true: a new instance, or a new life of one
  bool leave(const InstanceRef& instance);         // false: it was not there, or another life of it is
  void report(const LoadReport& report, Instant now);

  // Has it been assigned already, to instances that still live? Then the same again.
  const Assigned* find(const InstanceRef& gateway, RequestKey key) const;
  void assign(const InstanceRef& gateway, const AssignRequest& request, const Assigned& assigned, Instant now);
  void ended(const InstanceRef& gateway, RequestKey key);
  void gateway_left(const InstanceRef& gateway);
  void expire(Instant now);                // assignments whose deadline passed

  // As far as either has said. Indices into instances().
  bool can_reach(std::uint32_t a, std::uint32_t b) const;

  std::span<const Instance> instances() const { return instances_; }
  std::span<const Standing> standings() const { return standings_; }
  std::span<const InstanceLoad> loads(Part part) const { return part == Part::prefill ? prefill_loads_ : decode_loads_; }
  std::uint32_t kv_classes() const { return static_cast<std::uint32_t>(kv_identities_.size()); }
  void check_invariants() const;

 private:
  struct Entry {
    InstanceRef gateway;
    Assigned assigned;
    std::uint64_t prompt_tokens = 0;
    std::uint64_t total_tokens = 0;
    Instant expires;
    bool recent = true;                    // counted in the prefill instance's recent_tokens and recent_requests
    bool maybe_reported = false;           // and in its maybe_reported
  };
  struct Expiry {
    Instant at;
    RequestKey key;
    bool operator>(const Expiry& other) const { return at != other.at ? at > other.at : key > other.key; }
  };

  std::uint32_t kv_class_of(const KvIdentity& identity);
  Instance* find(const InstanceRef& instance);
  void no_longer_recent(Entry& entry);
  void forget(std::unordered_map<RequestKey, Entry>::iterator place);
  void refresh(const Instance& instance);  // its standing and loads from what is known
  template <class Predicate>
  void forget_if(Predicate predicate);

  std::vector<Instance> instances_;        // the same order as the three below
  std::vector<Standing> standings_;
  std::vector<InstanceLoad> prefill_loads_;
  std::vector<InstanceLoad> decode_loads_;
  std::unordered_map<InstanceId, std::uint32_t> index_;
  std::vector<KvIdentity> kv_identities_;  // by class
  std::unordered_map<RequestKey, Entry> ledger_;
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<>> expiries_;
};

}  // namespace baton
