// Where the contract suite runs: makes fabrics of one kind that can reach each other, and waits for what they report.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "tests/transport/fabric_recorder.h"
#include "transport/ucx_fabric.h"

namespace baton::transport {

struct FabricNode {
  FabricNode(Bulletin& bulletin, PeerId id, std::uint64_t token) : id(id), token(token), heard(bulletin) {}
  PeerId id;
  std::uint64_t token;
  Recorder heard;
  std::unique_ptr<Fabric> fabric;

  void connect_to(const FabricNode& other) { fabric->connect(other.id, other.fabric->address(), other.token); }
  Fabric* operator->() { return fabric.get(); }
};

class UcxWorld {
 public:
  static constexpr const char* kName = "ucx";

  std::unique_ptr<FabricNode> node(PeerId id, FabricOptions options = {}) {
    options.self = id;
    options.token = 1000 + id;
    auto made = std::make_unique<FabricNode>(bulletin_, id, options.token);
    auto [fabric, message] = make_ucx_fabric(options, &made->heard);
    EXPECT_NE(fabric, nullptr) << message;
    made->fabric = std::move(fabric);
    return made;
  }
  [[nodiscard]] bool until(const std::function<bool()>& condition) {
    return bulletin_.wait(condition, std::chrono::seconds(20));
  }
  // Reads what recorders hold while nobody writes.
  template <class Read>
  auto look(Read read) {
    std::lock_guard lock(bulletin_.mutex);
    return read();
  }

 private:
  Bulletin bulletin_;
};

}  // namespace baton::transport
