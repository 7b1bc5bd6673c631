// Who talks to whom, and what two nodes must agree on.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "runtime/cluster/membership.h"

namespace baton {
namespace {

const char* name_of(KvType type) { return type == KvType::bf16 ? "bf16" : "f32"; }

std::string why_model(const Hello& ours, const Hello& theirs) {
  const bool both_know = !ours.model.empty() && !theirs.model.empty();
  if (!both_know || ours.kv.model_fingerprint == theirs.kv.model_fingerprint) return {};
  return fmt::format("{} serves {} ({:016x}) and {} serves {} ({:016x}): start both with the same --model", theirs.name, theirs.model,
                     theirs.kv.model_fingerprint, ours.name, ours.model, ours.kv.model_fingerprint);
}

std::string why_kv(const Hello& ours, const Hello& theirs) {
  if (ours.kv.block_tokens != theirs.kv.block_tokens) {
    return fmt::format("{} has KV blocks of {} tokens and {} of {}: start both with the same --block-size", theirs.name,
                       theirs.kv.block_tokens, ours.name, ours.kv.block_tokens);
  }
  if (ours.kv.type != theirs.kv.type) {
    return fmt::format("{} keeps KV in {} and {} in {}: start both with the same --kv-dtype", theirs.name, name_of(theirs.kv.type),
                       ours.name, name_of(ours.kv.type));
  }
  if (ours.kv.kernel_identity != theirs.kv.kernel_identity) {
    return fmt::format("{} computes by kernels {:016x} and {} by {:016x}, so that their KV differs: install the same Baton on both",
                       theirs.name, theirs.kv.kernel_identity, ours.name, ours.kv.kernel_identity);
  }
  if (ours.ucx_major != theirs.ucx_major || ours.ucx_minor != theirs.ucx_minor) {
    return fmt::format("{} has UCX {}.{} and {} has {}.{}, which cannot talk: install the same version on both", theirs.name,
                       theirs.ucx_major, theirs.ucx_minor, ours.name, ours.ucx_major, ours.ucx_minor);
  }
  return {};
}

}  // namespace

const char* to_string(PeerState state) {
  switch (state) {
    case PeerState::starting: return "starting";
    case PeerState::ready: return "ready";
    case PeerState::down: return "down";
    case PeerState::refused: return "refused";
  }
  return "unknown";
}

bool needs(Role a, Role b) {
  if (is_instance(a) && is_instance(b)) return (can_prefill(a) && can_decode(b)) || (can_prefill(b) && can_decode(a));
  return a != b;
}

std::string why_refused(const Hello& ours, const Hello& theirs) {
  if (ours.protocol != theirs.protocol) {
    return fmt::format("{} speaks version {} of the control plane and {} version {}: install the same Baton on both", theirs.name,
                       theirs.protocol, ours.name, ours.protocol);
  }
  if (std::string why = why_model(ours, theirs); !why.empty()) return why;
  if (is_instance(ours.role) && is_instance(theirs.role)) return why_kv(ours, theirs);
  return {};
}

bool can_serve(const std::vector<Hello>& instances) {
  return std::ranges::any_of(instances, [&](const Hello& prefill) {
    return can_prefill(prefill.role) && std::ranges::any_of(instances, [&](const Hello& decode) {
      return can_decode(decode.role) && why_refused(prefill, decode).empty();
    });
  });
}

}  // namespace baton
