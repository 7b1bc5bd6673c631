// Conversations: which turn of which session each arrival is, and the identity of its prompt's blocks.
#include <algorithm>
#include <functional>
#include <map>
#include <tuple>

#include "runtime/sim/workload_parts.h"

namespace baton::sim {
namespace {

struct Session {
  std::uint32_t kind = 0;
  std::uint32_t system = 0;                // which system prompt of its kind
  std::uint64_t prompt_tokens = 0;         // of its next turn
  std::vector<std::uint64_t> full_blocks;  // of the turns before
};

struct Waiting {
  double ready_s;
  std::uint64_t since;                     // the request that made it wait: who waited longer goes first
  Session session;
  friend bool operator>(const Waiting& a, const Waiting& b) { return std::tie(a.ready_s, a.since) > std::tie(b.ready_s, b.since); }
};

class Generator {
 public:
  Generator(const Workload& workload, const Draws& draws) : workload_(workload), draws_(draws), popularity_(workload.sessions.size()) {
    for (const SessionKind& kind : workload.sessions) total_share_ += kind.share;
    for (std::size_t k = 0; k < popularity_.size(); ++k) {
      double sum = 0;
      for (std::uint32_t i = 1; i <= workload.sessions[k].system_prompts; ++i) {
        popularity_[k].push_back(sum += portable_exp(-workload.sessions[k].zipf * portable_log(i)));
      }
    }
  }

  // The request that arrives at `now`: the session that has been ready longest goes on, else a new one begins.
  TraceRequest next(double now) {
    Session session = !waiting_.empty() && waiting_.front().ready_s <= now ? take_ready() : begin();
    const SessionKind& kind = workload_.sessions[session.kind];
    TraceRequest request{.id = std::to_string(index_),
                         .arrival_s = now,
                         .prompt_tokens = static_cast<std::uint32_t>(session.prompt_tokens),
                         .output_tokens = tokens_at(kind.output, draws_.unit(Stream::output, index_))};
    request.blocks = blocks_of(session);
    session.prompt_tokens += request.output_tokens + tokens_at(kind.later, draws_.unit(Stream::prompt, index_, 1));
    const bool goes_on = draws_.unit(Stream::continues, index_) >= 1 / kind.turns && session.prompt_tokens <= kind.most_prompt;
    if (goes_on) wait(std::move(session), now + kind.think_s * draws_.exponential(Stream::think, index_));
    ++index_;
    return request;
  }

 private:
  Session begin() {
    double place = draws_.unit(Stream::session, index_) * total_share_;
    Session session;
    while (session.kind + 1 < workload_.sessions.size() && place >= workload_.sessions[session.kind].share) {
      place -= workload_.sessions[session.kind++].share;
    }
    const auto& popularity = popularity_[session.kind];
    const double u = draws_.unit(Stream::system, index_) * popularity.back();
    const auto place_of_system = std::upper_bound(popularity.begin(), popularity.end() - 1, u);      // u may be rounded up to the end
    session.system = static_cast<std::uint32_t>(place_of_system - popularity.begin());
    const SessionKind& kind = workload_.sessions[session.kind];
    const std::uint64_t tokens = kind.system_tokens + std::uint64_t{tokens_at(kind.first, draws_.unit(Stream::prompt, index_))};
    session.prompt_tokens = std::min<std::uint64_t>(tokens, kind.most_prompt);
    return session;
  }

  // Full blocks of the prompt before, then new ones; those that a system prompt fills are its own. A partial last block is nobody else's.
  std::vector<std::uint64_t> blocks_of(Session& session) {
    const std::uint64_t size = workload_.block_tokens;
    const std::uint64_t full = session.prompt_tokens / size;
    const SessionKind& kind = workload_.sessions[session.kind];
    const std::uint64_t system_full = kind.system_tokens / size;
    while (session.full_blocks.size() < full) {
      const std::uint64_t at = session.full_blocks.size();
      std::uint64_t id = next_id_;
      if (at < system_full) id = system_blocks_.try_emplace({kind.system_tokens, session.system, at}, next_id_).first->second;
      if (id == next_id_) ++next_id_;
      session.full_blocks.push_back(id);
    }
    std::vector<std::uint64_t> blocks = session.full_blocks;
    if (session.prompt_tokens % size != 0) blocks.push_back(next_id_++);
    return blocks;
  }

  void wait(Session session, double ready_s) {
    waiting_.push_back({ready_s, index_, std::move(session)});
    std::ranges::push_heap(waiting_, std::greater<Waiting>{});
  }
  Session take_ready() {
    std::ranges::pop_heap(waiting_, std::greater<Waiting>{});
    Session session = std::move(waiting_.back().session);
    waiting_.pop_back();
    return session;
  }

  const Workload& workload_;
  const Draws draws_;
  double total_share_ = 0;
  std::vector<std::vector<double>> popularity_;                        // by kind: cumulative weights of its system prompts
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>, std::uint64_t> system_blocks_;    // tokens, which, place -> id
  std::vector<Waiting> waiting_;                                       // a heap, the first to be ready on top
  std::uint64_t next_id_ = 0;
  std::uint64_t index_ = 0;
};

}  // namespace

Trace generate_sessions(const Workload& workload, double rate, std::size_t count, const Draws& draws) {
  ArrivalTimes times(workload.arrivals, rate, draws);
  Generator generator(workload, draws);
  Trace trace;
  trace.reserve(count);
  while (trace.size() < count) trace.push_back(generator.next(times.next()));
  return trace;
}

}  // namespace baton::sim
