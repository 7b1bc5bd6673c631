#include "actors/instance/device_worker.h"

#include "runtime/base/check.h"

namespace baton {

DeviceWorker::DeviceWorker(Run run, PostInstanceEvent post)
    : run_(std::move(run)), post_(std::move(post)), thread_([this] { loop(); }) {}

DeviceWorker::~DeviceWorker() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void DeviceWorker::submit(StartStep step) {
  {
    const std::lock_guard lock{mutex_};
    CHECK(!waiting_, "two steps at once");
    waiting_ = std::move(step);
  }
  changed_.notify_one();
}

void DeviceWorker::loop() {
  std::unique_lock lock{mutex_};
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || waiting_; });
    if (stopping_) return;
    const StartStep step = std::move(*waiting_);
    waiting_.reset();
    lock.unlock();
    std::visit([this](auto&& result) { post_(std::move(result)); }, run_(step));
    lock.lock();
  }
}

}  // namespace baton
