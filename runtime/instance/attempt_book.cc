#include "runtime/instance/attempt_book.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace baton {

bool AttemptBook::stale(const RequestKey& key) const {
  if (const auto over = ended_.find(key.request); over != ended_.end() && key.epoch <= over->second) return true;
  const auto found = live_.find(key.request);
  return found != live_.end() && key.epoch < found->second.epoch;
}

Attempt* AttemptBook::find(RequestId request) {
  const auto found = live_.find(request);
  return found == live_.end() ? nullptr : &found->second;
}

Attempt* AttemptBook::find(const RequestKey& key) {
  Attempt* attempt = find(key.request);
  return attempt != nullptr && attempt->epoch == key.epoch ? attempt : nullptr;
}

Attempt& AttemptBook::begin(const RequestKey& key, InstanceRef gateway, Stage stage) {
  const auto [at, fresh] = live_.emplace(key.request, Attempt{key.epoch, gateway, stage, next_age()});
  CHECK(fresh, "request {} lives here already", key.request.value);
  return at->second;
}

void AttemptBook::end(const RequestKey& key) {
  if (const auto found = live_.find(key.request); found != live_.end() && found->second.epoch <= key.epoch) live_.erase(found);
  const auto [at, fresh] = ended_.emplace(key.request, key.epoch);
  at->second = std::max(at->second, key.epoch);
  if (!fresh) return;
  ended_order_.push_back(key.request);
  if (ended_order_.size() > kRemembered) {
    ended_.erase(ended_order_.front());
    ended_order_.pop_front();
  }
}

}  // namespace baton
