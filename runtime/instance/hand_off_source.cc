#include "runtime/instance/hand_off_source.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/kv/prefix_identity.h"

namespace baton {

void HandOffSource::open(const Sequence& sequence, TransferId transfer, InstanceRef to, bool by_layer) {
  const auto& blocks = sequence.table.blocks();
  const auto [at, fresh] = sends_.emplace(transfer, Send{sequence.key.request, blocks});
  if (!fresh) return;                                // transfer ids are never reused: a repeated grant
  for (const BlockId block : blocks) context_.pool.share(block);
  context_.out.add(SendBlocks{transfer, to, blocks, block_identities(sequence.tokens, context_.pool.block_tokens()),
                              static_cast<std::uint32_t>(sequence.tokens.size()), by_layer});
}

void HandOffSource::keep_early(const Grant& grant) {
  early_.push_back(grant);
  if (early_.size() > kEarlyGrants) early_.pop_front();
}

std::optional<Grant> HandOffSource::take_early(const RequestKey& key) {
  const auto found = std::ranges::find(early_, key, &Grant::key);
  if (found == early_.end()) return std::nullopt;
  Grant grant = *found;
  early_.erase(found);
  return grant;
}

void HandOffSource::on_grant_before_end(const Grant& grant, Sequence& prefilling) const {
  if (!prefilling.prefill || prefilling.prefill->mode == HandOffMode::local || prefilling.prefill->grant) return;
  const bool whole = grant.blocks == context_.pool.blocks_for(prefilling.tokens.size());
  if (whole && grant.from == prefilling.prefill->decode) prefilling.prefill->grant = grant.transfer;
}

void HandOffSource::open_push(const Sequence& sequence) {
  open(sequence, *sequence.prefill->grant, sequence.prefill->decode, true);
}

void HandOffSource::hold(Sequence prefilled, std::uint64_t root, Instant now) {
  const RequestId request = prefilled.key.request;
  const PrefillPart& prefill = *prefilled.prefill;
  if (prefill.grant && !prefill.push_open) open(prefilled, *prefill.grant, prefill.decode, false);
  context_.deadlines.set(Wait::lease, request, now + context_.options.lease);
  const std::optional<TransferId> transfer = prefill.grant;
  const auto [at, fresh] = held_.emplace(request, Held{std::move(prefilled), transfer, root});
  CHECK(fresh, "request {} is held already", request.value);
  offer(at->second);
}

void HandOffSource::offer(const Held& held) const {
  const Sequence& sequence = held.sequence;
  const InstanceRef decode = sequence.prefill->decode;
  context_.out.send(decode, Offer{sequence.key, context_.options.self, decode, static_cast<std::uint32_t>(sequence.tokens.size()),
                                  sequence.table.size(), held.root, context_.options.lease});
}

void HandOffSource::peer_up(InstanceRef peer) const {
  for (const auto& [request, held] : held_) {
    if (held.sequence.prefill->decode == peer && !held.transfer) offer(held);
  }
}

std::optional<Error> HandOffSource::on_grant(const Grant& grant) {
  const auto found = held_.find(grant.key.request);
  if (found == held_.end()) return std::nullopt;
  Held& held = found->second;
  if (grant.from != held.sequence.prefill->decode || held.transfer) return std::nullopt;
  if (grant.blocks != held.sequence.table.size()) {
    return Error{ErrorCode::transfer_failed, Scope::transfer,
                 fmt::format("the decode instance granted {} blocks for {}: both must run with the same --block-size",
                             grant.blocks, held.sequence.table.size())};
  }
  held.transfer = grant.transfer;
  open(held.sequence, grant.transfer, grant.from, false);
  return std::nullopt;
}

void HandOffSource::renew(const RenewLease& renewal, Instant now) {
  const auto found = held_.find(renewal.key.request);
  if (found == held_.end() || renewal.from != found->second.sequence.prefill->decode) return;
  context_.deadlines.set(Wait::lease, renewal.key.request, now + context_.options.lease);
}

bool HandOffSource::release(const Release& release) {
  const auto found = held_.find(release.key.request);
  if (found == held_.end() || release.from != found->second.sequence.prefill->decode) return false;
  if (!release.landed) abort_sends_of(release.key.request);
  found->second.sequence.table.release(context_.pool);
  held_.erase(found);
  return true;
}

std::optional<RequestId> HandOffSource::sends_complete(const SendsComplete& done) {
  const auto found = sends_.find(done.transfer);
  if (found == sends_.end()) return std::nullopt;
  const bool lost = done.failed && !found->second.aborting;
  const RequestId request = found->second.request;
  for (std::size_t i = found->second.blocks.size(); i-- > 0;) context_.pool.release(found->second.blocks[i]);
  sends_.erase(found);
  std::erase(abort_after_step_, done.transfer);
  return lost ? std::optional{request} : std::nullopt;
}

bool HandOffSource::withdraw(RequestId request, TransferId transfer) const {
  const auto found = held_.find(request);
  if (found == held_.end() || found->second.transfer != transfer) return false;
  withdraw(found->second.sequence, transfer);
  return true;
}

void HandOffSource::withdraw(const Sequence& prefilled, TransferId transfer) const {
  const InstanceRef decode = prefilled.prefill->decode;
  context_.out.send(decode, Withdraw{prefilled.key, context_.options.self, decode, transfer});
}

void HandOffSource::on_push_failed(TransferId transfer, Sequence& prefilling) const {
  if (prefilling.prefill && prefilling.prefill->grant == transfer) prefilling.prefill->push_failed = true;
}

void HandOffSource::drop(RequestId request) {
  abort_sends_of(request);
  if (const auto found = held_.find(request); found != held_.end()) {
    found->second.sequence.table.release(context_.pool);
    held_.erase(found);
  }
}

void HandOffSource::abort_sends_of(RequestId request) {
  for (auto& [transfer, send] : sends_) {
    if (send.request != request || std::exchange(send.aborting, true)) continue;
    if (in_step_.contains(transfer)) {
      abort_after_step_.push_back(transfer);
    } else {
      context_.out.add(AbortSends{transfer});
    }
  }
}

std::uint32_t HandOffSource::blocks() const {
  std::size_t blocks = 0;
  for (const auto& [request, held] : held_) blocks += held.sequence.table.size();
  for (const auto& [transfer, send] : sends_) {
    const auto held = held_.find(send.request);
    if (held == held_.end() || held->second.transfer != transfer) blocks += send.blocks.size();
  }
  return static_cast<std::uint32_t>(blocks);
}

void HandOffSource::step_started(const StartStep& step) {
  for (const StepSequence& part : step.sequences) {
    for (const PushPlan& plan : part.push) in_step_.insert(plan.transfer);
  }
}

void HandOffSource::step_ended() {
  in_step_.clear();
  for (const TransferId transfer : std::exchange(abort_after_step_, {})) context_.out.add(AbortSends{transfer});
}

std::vector<RequestId> HandOffSource::held_for(InstanceRef peer) const {
  std::vector<RequestId> requests;
  for (const auto& [request, held] : held_) {
    if (held.sequence.prefill->decode == peer) requests.push_back(request);
  }
  return requests;
}

InstanceRef HandOffSource::held_by(RequestId request) const {
  const auto found = held_.find(request);
  return found == held_.end() ? context_.options.self : found->second.sequence.prefill->decode;
}

void HandOffSource::collect_leased(std::vector<BlockId>& blocks) const {
  visit_references([&](BlockId block) { blocks.push_back(block); });
}

void HandOffSource::check_invariants() const {
  for (const auto& [request, held] : held_) {
    CHECK(context_.deadlines.waits(Wait::lease, request), "request {} is held without a lease", request.value);
    CHECK(held.sequence.table.size() == context_.pool.blocks_for(held.sequence.tokens.size()), "request {} is not held whole",
          request.value);
  }
  for (const TransferId transfer : abort_after_step_) CHECK(in_step_.contains(transfer), "an abort waits for no step");
}

}  // namespace baton
