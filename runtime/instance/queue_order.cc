#include "runtime/instance/queue_order.h"

#include <bit>
#include <map>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/nearest.h"

namespace baton {
namespace {

class FirstComeFirstServed final : public QueueOrder {
 public:
  std::uint64_t key(const QueuedPrompt&) const override { return 0; }
  bool overtakes() const override { return false; }
};

class ShortestRemaining final : public QueueOrder {
 public:
  std::uint64_t key(const QueuedPrompt& prompt) const override { return prompt.pending; }
};

// The levels before level n take quantum * (2^n - 1) tokens.
class FeedbackLevels final : public QueueOrder {
 public:
  explicit FeedbackLevels(std::uint32_t quantum) : quantum_(quantum) { CHECK(quantum > 0, "mlfq's quantum is at least one token"); }
  std::uint64_t key(const QueuedPrompt& prompt) const override { return std::bit_width(prompt.computed / quantum_ + 1u) - 1u; }

 private:
  std::uint32_t quantum_;
};

using OrderRegistry = std::map<std::string, QueueOrderFactory, std::less<>>;

OrderRegistry& order_registry() {
  static OrderRegistry all = {
      {"fcfs", [](const QueueOrderOptions&) { return std::make_unique<FirstComeFirstServed>(); }},
      {"srpt", [](const QueueOrderOptions&) { return std::make_unique<ShortestRemaining>(); }},
      {"mlfq", [](const QueueOrderOptions& options) { return std::make_unique<FeedbackLevels>(options.quantum_tokens); }}};
  return all;
}

}  // namespace

Status register_queue_order(const std::string& name, QueueOrderFactory factory) {
  if (name.empty()) return Error{ErrorCode::invalid_argument, Scope::instance, "a queue order needs a name"};
  if (!order_registry().emplace(name, std::move(factory)).second) {
    return Error{ErrorCode::invalid_argument, Scope::instance, fmt::format("a queue order named {} is registered already", name)};
  }
  return ok();
}

Result<std::unique_ptr<QueueOrder>> make_queue_order(std::string_view name, const QueueOrderOptions& options) {
  const auto place = order_registry().find(name);
  if (place != order_registry().end()) return place->second(options);
  return Error{ErrorCode::invalid_config, Scope::instance,
               fmt::format("unknown queue order \"{}\"{}", name, suggestion(name, queue_order_names())), "queue_order"};
}

std::vector<std::string> queue_order_names() {
  std::vector<std::string> names;
  for (const auto& [name, factory] : order_registry()) names.push_back(name);
  return names;
}

}  // namespace baton
