// The instances of a simulated cluster: each an InstanceCore, whose steps take the time of its profile and whose hand-offs go to the
// fabric. Thread: none.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/instance/instance_core.h"
#include "runtime/sim/virtual_cluster.h"
#include "runtime/sim/virtual_fabric.h"
#include "runtime/sim/virtual_world.h"

namespace baton::sim {

class VirtualInstances {
 public:
  VirtualInstances(VirtualWorld& world, VirtualFabric& fabric, const VirtualOptions& options, bool prefix_cache);

  void start();                            // every instance's first tick, and who is connected to whom
  Hello hello_of(std::uint32_t instance) const;
  void deliver(std::uint32_t instance, const VirtualMessage& message);
  void step_ended(std::uint32_t instance);
  void timer_event(const VirtualEvent& event);
  std::vector<VirtualInstanceUse> use() const;

 private:
  struct Instance {
    Instance(std::string name_, InstanceOptions options_, std::shared_ptr<const StepModel> steps_)
        : options(options_), core(options_), steps(std::move(steps_)), use{.name = std::move(name_)} {}
    InstanceOptions options;
    InstanceCore core;
    std::shared_ptr<const StepModel> steps;
    VirtualTimer timer;
    StepDone done;                         // of the step under way
    std::vector<PushPlan> pushes;          // of the same
    VirtualInstanceUse use;
  };

  void apply(std::uint32_t self, InstanceCommands commands);
  template <class Message>
  void carry_out(std::uint32_t self, SendTo<Message>& command);
  void carry_out(std::uint32_t self, LoadReport& command);
  void carry_out(std::uint32_t self, StartStep& command);
  void carry_out(std::uint32_t self, AcceptTransfer& command);
  void carry_out(std::uint32_t self, DropTransfer& command);
  void carry_out(std::uint32_t self, SendBlocks& command);
  void carry_out(std::uint32_t self, AbortSends& command);
  void carry_out(std::uint32_t self, SetTimer& command);

  VirtualWorld& world_;
  VirtualFabric& fabric_;
  bool check_;
  std::vector<Instance> instances_;
  std::vector<StepSpan> spans_;            // of the step in hand
};

}  // namespace baton::sim
