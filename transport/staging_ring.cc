#include "transport/staging_ring.h"

#include <sys/mman.h>

namespace baton::transport {

std::unique_ptr<StagingRing> StagingRing::open(ucp_context_h context, std::size_t buffer_bytes, std::uint32_t buffers,
                                               std::string& why) {
  std::unique_ptr<StagingRing> ring(new StagingRing);
  constexpr std::size_t kPage = 4096;
  const std::size_t spacing = (buffer_bytes + kPage - 1) / kPage * kPage;
  ring->context_ = context;
  ring->buffer_bytes_ = buffer_bytes;
  ring->mapped_bytes_ = spacing * buffers;
  void* const base = mmap(nullptr, ring->mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    why = "no memory for " + std::to_string(ring->mapped_bytes_ >> 20) + " MiB of staging: use smaller or fewer pieces";
    return nullptr;
  }
  ring->base_ = static_cast<std::byte*>(base);
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS;
  params.address = base;
  params.length = ring->mapped_bytes_;
  params.flags = UCP_MEM_MAP_NONBLOCK;
  if (const ucs_status_t status = ucp_mem_map(context, &params, &ring->registration_); status != UCS_OK) {
    why = std::string("UCX cannot register the staging memory (is the locked-memory limit too low?): ") + ucs_status_string(status);
    return nullptr;
  }
  for (std::uint32_t i = buffers; i-- > 0;) ring->free_.push_back(ring->base_ + i * spacing);
  return ring;
}

StagingRing::~StagingRing() {
  if (registration_ != nullptr) ucp_mem_unmap(context_, registration_);
  if (base_ != nullptr) munmap(base_, mapped_bytes_);
}

std::byte* StagingRing::take() {
  if (free_.empty()) return nullptr;
  std::byte* const buffer = free_.back();
  free_.pop_back();
  return buffer;
}

void StagingRing::give_back(std::byte* buffer) { free_.push_back(buffer); }

}  // namespace baton::transport
