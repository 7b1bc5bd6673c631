// A fixed number of equal buffers through which pieces pass, registered with UCX once. The one given back last is taken first, so
// that few pieces in flight stay in the processor's cache and untouched buffers cost no memory. Thread: the fabric's.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace baton::transport {

class StagingRing {
 public:
  static std::unique_ptr<StagingRing> open(ucp_context_h context, std::size_t buffer_bytes, std::uint32_t buffers,
                                           std::string& why);
  ~StagingRing();
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  std::size_t buffer_bytes() const { return buffer_bytes_; }
  bool empty() const { return free_.empty(); }
  std::byte* take();                   // null when empty
  void give_back(std::byte* buffer);

 private:
  StagingRing() = default;

  ucp_context_h context_ = nullptr;
  ucp_mem_h registration_ = nullptr;
  std::byte* base_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::size_t buffer_bytes_ = 0;
  std::vector<std::byte*> free_;
};

}  // namespace baton::transport
