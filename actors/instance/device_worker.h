// The thread that runs an instance's steps, so that no actor ever waits for the model. At most one step is outstanding.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "actors/instance/instance_event.h"
#include "actors/instance/step_runner.h"

namespace baton {

class DeviceWorker {
 public:
  using Run = std::function<std::variant<StepDone, StepFailed>(const StartStep&)>;
  DeviceWorker(Run run, PostInstanceEvent post);
  ~DeviceWorker();                       // after the step that runs
  DeviceWorker(const DeviceWorker&) = delete;

  void submit(StartStep step);           // from any thread

 private:
  void loop();

  Run run_;
  PostInstanceEvent post_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<StartStep> waiting_;     // guarded
  bool stopping_ = false;                // guarded
  std::thread thread_;
};

}  // namespace baton
