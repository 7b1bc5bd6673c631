#include "runtime/sim/virtual_instances.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "runtime/cluster/membership.h"

namespace baton::sim {
namespace {

constexpr TokenId kMadeToken = 1;
constexpr std::uint64_t kOneModel = 1;     // fingerprint: all instances serve it
// In place of heartbeats: nobody is lost here, and reports of what changed come all the same.
constexpr Duration kReportInterval = std::chrono::hours{1};

VirtualEvent event_of(VirtualEvent::Kind kind, std::uint32_t instance) { return {kind, instance, 0}; }

}  // namespace

VirtualInstances::VirtualInstances(VirtualWorld& world, VirtualFabric& fabric, const VirtualOptions& options, bool prefix_cache)
    : world_(world), fabric_(fabric), check_(options.check_invariants) {
  std::array<std::uint32_t, 5> named{};
  instances_.reserve(world.instances());
  for (const VirtualGroup& group : options.groups) {
    for (std::uint32_t i = 0; i < group.count; ++i) {
      InstanceOptions own;
      own.self = VirtualWorld::ref_of(static_cast<std::uint32_t>(instances_.size()));
      own.role = group.role;
      own.model_fingerprint = kOneModel;
      own.layers = 1;
      own.block_tokens = options.block_tokens;
      own.blocks = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(group.profile.kv_tokens / options.block_tokens, std::numeric_limits<std::uint32_t>::max()));
      own.max_model_len = std::numeric_limits<std::uint32_t>::max();       // the pool bounds it
      own.chunk_tokens = options.chunk_tokens;
      own.prefill_token_budget = options.prefill_token_budget;
      own.max_step_tokens = std::max(options.prefill_token_budget, own.max_running);
      own.prefix_cache = prefix_cache;
      own.verify_kv = false;
      own.report_interval = kReportInterval;
      std::string name = fmt::format("{}_{}", to_string(group.role), named[static_cast<std::size_t>(group.role)]++);
      instances_.emplace_back(std::move(name), own, group.profile.steps);
    }
  }
}

void VirtualInstances::start() {
  const auto count = static_cast<std::uint32_t>(instances_.size());
  for (std::uint32_t i = 0; i < count; ++i) apply(i, instances_[i].core.on(Tick{}, world_.now()));
  for (std::uint32_t i = 0; i < count; ++i) {
    for (std::uint32_t j = 0; j < count; ++j) {
      if (i == j || !needs(instances_[i].options.role, instances_[j].options.role)) continue;
      apply(i, instances_[i].core.on(PeerUp{VirtualWorld::ref_of(j)}, world_.now()));
    }
  }
}

Hello VirtualInstances::hello_of(std::uint32_t instance) const {
  const InstanceOptions& options = instances_[instance].options;
  Hello hello;
  hello.self = options.self;
  hello.name = instances_[instance].use.name;
  hello.role = options.role;
  hello.kv.model_fingerprint = options.model_fingerprint;
  hello.kv.block_tokens = options.block_tokens;
  hello.max_model_len = options.max_model_len;
  hello.blocks_total = options.blocks;
  return hello;
}

void VirtualInstances::deliver(std::uint32_t instance, const VirtualMessage& message) {
  std::visit(
      [&](const auto& m) {
        InstanceCore& core = instances_[instance].core;
        if constexpr (requires { core.on(m, world_.now()); }) apply(instance, core.on(m, world_.now()));
      },
      message);
}

void VirtualInstances::step_ended(std::uint32_t instance) {
  Instance& self = instances_[instance];
  for (const PushPlan& plan : self.pushes) fabric_.step_ends(plan);
  self.pushes.clear();
  InstanceCommands commands = self.core.on(self.done, world_.now());
  self.done.samples.clear();
  apply(instance, std::move(commands));
}

void VirtualInstances::timer_event(const VirtualEvent& event) {
  Instance& self = instances_[event.party];
  if (self.timer.rings(world_, event)) apply(event.party, self.core.on(Tick{}, world_.now()));
}

std::vector<VirtualInstanceUse> VirtualInstances::use() const {
  std::vector<VirtualInstanceUse> all;
  for (const Instance& instance : instances_) {
    all.push_back(instance.use);
    all.back().stats = instance.core.stats();
    all.back().blocks_used = instance.core.load().blocks_used;
  }
  return all;
}

// ---- commands --------------------------------------------------------------------------------------------------------

void VirtualInstances::apply(std::uint32_t self, InstanceCommands commands) {
  for (InstanceCommand& command : commands) {
    std::visit([&](auto& c) { carry_out(self, c); }, command);
  }
  if (check_) instances_[self].core.check_invariants();
}

template <class Message>
void VirtualInstances::carry_out(std::uint32_t, SendTo<Message>& command) {
  world_.post(VirtualWorld::party_of(command.to), std::move(command.message));
}

void VirtualInstances::carry_out(std::uint32_t, LoadReport& command) { world_.post(world_.scheduler(), std::move(command)); }

void VirtualInstances::carry_out(std::uint32_t self, StartStep& command) {
  Instance& instance = instances_[self];
  spans_.clear();
  instance.done.step = command.step;
  for (StepSequence& part : command.sequences) {
    spans_.push_back({static_cast<std::uint32_t>(part.tokens.size()), part.start});
    for (const std::uint32_t choice : part.sample_choices) {
      instance.done.samples.push_back({part.key, choice, {{.token = kMadeToken}, {}}});
    }
    for (const PushPlan& plan : part.push) {
      instance.pushes.push_back(plan);
      fabric_.step_begins(plan);
    }
  }
  const Duration takes = instance.steps->step_time(spans_);
  instance.use.busy += takes;
  ++instance.use.steps;
  world_.schedule(world_.now() + takes, event_of(VirtualEvent::Kind::step_end, self));
}

// The core passes over what lands under a grant that is dead.
void VirtualInstances::carry_out(std::uint32_t, AcceptTransfer&) {}
void VirtualInstances::carry_out(std::uint32_t, DropTransfer&) {}

void VirtualInstances::carry_out(std::uint32_t self, SendBlocks& command) { fabric_.send(self, command); }

void VirtualInstances::carry_out(std::uint32_t self, AbortSends& command) { fabric_.abort(self, command.transfer); }

void VirtualInstances::carry_out(std::uint32_t self, SetTimer& command) {
  instances_[self].timer.set(command.at, world_, event_of(VirtualEvent::Kind::instance_timer, self));
}

}  // namespace baton::sim
