// Where the contract suite runs: makes fabrics of one kind that can reach each other, and waits for what they report.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "tests/transport/fabric_recorder.h"
#include "transport/fake_fabric.h"
#include "transport/ucx_fabric.h"

namespace baton::transport {

struct FabricNode {
  FabricNode(Bulletin& bulletin, PeerId id) : id(id), token(1000 + id), heard(bulletin) {}
  PeerId id;
  std::uint64_t token;
  Recorder heard;
  std::unique_ptr<Fabric> fabric;

  void connect_to(const FabricNode& other) { fabric->connect(other.id, other.fabric->address(), other.token); }
  Fabric* operator->() { return fabric.get(); }
};
using NodePtr = std::unique_ptr<FabricNode>;

// Threads and a network: conditions are waited for, at most 20 s.
class UcxWorld {
 public:
  static constexpr const char* kName = "ucx";

  NodePtr node(PeerId id, FabricOptions options = {}) {
    auto made = std::make_unique<FabricNode>(bulletin_, id);
    options.self = id;
    options.token = made->token;
    auto [fabric, message] = make_ucx_fabric(options, &made->heard);
    EXPECT_NE(fabric, nullptr) << message;
    made->fabric = std::move(fabric);
    return made;
  }
  std::string dead_address() const { return "127.0.0.1:1"; }
  [[nodiscard]] bool until(const std::function<bool()>& condition) {
    return bulletin_.wait(condition, std::chrono::seconds(20));
  }
  // What recorders hold may be read while nobody writes.
  template <class Read>
  auto look(Read read) {
    std::lock_guard lock(bulletin_.mutex);
    return read();
  }

 private:
  Bulletin bulletin_;
};

// One thread and virtual time: waiting steps the hub, at most 20 virtual seconds.
class FakeWorld {
 public:
  static constexpr const char* kName = "fake";

  NodePtr node(PeerId id, FabricOptions options = {}) {
    auto made = std::make_unique<FabricNode>(bulletin_, id);
    options.self = id;
    options.token = made->token;
    made->fabric = hub.open(options, &made->heard);
    return made;
  }
  std::string dead_address() const { return "fake:999"; }
  [[nodiscard]] bool until(const std::function<bool()>& condition) {
    constexpr std::int64_t kTick = 1'000'000;
    for (const std::int64_t end = hub.now_ns() + 20'000'000'000; hub.now_ns() < end; hub.advance(kTick)) {
      do {
        if (condition()) return true;
      } while (hub.step());
    }
    return condition();
  }
  template <class Read>
  auto look(Read read) { return read(); }

  FakeHub hub;

 private:
  Bulletin bulletin_;
};

}  // namespace baton::transport
