#include "runtime/sim/network.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/base/check.h"

namespace baton::sim {

void Network::start(Flow flow, Endpoint from, Endpoint to, double bytes, Instant now) {
  CHECK(from != to && from < links_.size() && to < links_.size(), "a transfer from {} to {}", from, to);
  advance(now);
  flows_.push_back({.flow = flow, .from = from, .to = to, .left = bytes});
  share();
}

void Network::cancel(Flow flow, Instant now) {
  const auto found = std::ranges::find(flows_, flow, &Moving::flow);
  if (found == flows_.end()) return;
  advance(now);
  flows_.erase(found);
  share();
}

std::optional<Instant> Network::next_end() const {
  const auto first = std::ranges::min_element(flows_, {}, &Moving::ends);
  return first == flows_.end() ? std::nullopt : std::optional{first->ends};
}

const std::vector<Network::Flow>& Network::take_ended(Instant now) {
  advance(now);
  ended_.clear();
  std::erase_if(flows_, [&](const Moving& moving) {
    if (moving.ends > now) return false;
    moved_ += moving.left;                 // what rounding left over
    ended_.push_back(moving.flow);
    return true;
  });
  if (!ended_.empty()) share();
  return ended_;
}

double Network::rate(Flow flow) const {
  const auto found = std::ranges::find(flows_, flow, &Moving::flow);
  return found == flows_.end() ? 0 : found->rate;
}

void Network::advance(Instant now) {
  CHECK(now >= now_, "time goes back");
  const double seconds = static_cast<double>((now - now_).count()) * 1e-9;
  now_ = now;
  if (seconds == 0) return;
  for (Moving& moving : flows_) {
    const double sent = std::min(moving.left, moving.rate * seconds);
    moving.left -= sent;
    moved_ += sent;
  }
}

// The side with the least for each of its transfers fills first; its transfers get that and are out of the reckoning.
void Network::share() {
  if (flows_.empty()) return;
  sides_.assign(2 * links_.size(), Side{});
  for (Endpoint i = 0; i < links_.size(); ++i) {
    side(i, false).room = links_[i].egress;
    side(i, true).room = links_[i].ingress;
  }
  for (Moving& moving : flows_) {
    moving.fixed = false;
    ++side(moving.from, false).open;
    ++side(moving.to, true).open;
  }
  for (std::size_t left = flows_.size(); left > 0;) {
    std::size_t tightest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < sides_.size(); ++i) {
      if (sides_[i].open == 0) continue;
      const double each = sides_[i].room / sides_[i].open;
      if (each < least) {
        least = each;
        tightest = i;
      }
    }
    for (Moving& moving : flows_) {
      if (moving.fixed || (2 * moving.from != tightest && 2 * moving.to + 1 != tightest)) continue;
      moving.fixed = true;
      moving.rate = least;
      --left;
      for (Side* s : {&side(moving.from, false), &side(moving.to, true)}) {
        --s->open;
        s->room = std::max(s->room - least, 0.0);
      }
    }
  }
  for (Moving& moving : flows_) {
    const double ns = moving.rate > 0 ? std::ceil(moving.left / moving.rate * 1e9) : 9e17;
    moving.ends = now_ + Duration{static_cast<std::int64_t>(std::min(ns, 9e17))};
  }
}

}  // namespace baton::sim
