#include "runtime/instance/hand_off_sink.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/random.h"
#include "runtime/kv/prefix_identity.h"

namespace baton {

HandOffSink::HandOffSink(InstanceContext& context)
    : context_(context), transfer_base_(draw64(context.options.self.id.value, context.options.self.incarnation.value)) {}

HandOffSink::Inbound& HandOffSink::inbound_of(const RequestKey& key, InstanceRef prefill) {
  Inbound& inbound = inbound_[key.request];
  inbound.key = key;
  inbound.prefill = prefill;
  return inbound;
}

HandOffSink::Inbound* HandOffSink::find(TransferId transfer) {
  const auto found = transfers_.find(transfer);
  return found == transfers_.end() ? nullptr : &inbound_.at(found->second);
}

std::optional<RequestId> HandOffSink::request_of(TransferId transfer) const {
  const auto found = transfers_.find(transfer);
  return found == transfers_.end() ? std::nullopt : std::optional{found->second};
}

// ---- the messages ----------------------------------------------------------------------------------------------------

void HandOffSink::on_reserve(const Reserve& reserve, Attempt& attempt, AttemptBook& book, Instant now) {
  Inbound& inbound = inbound_of(reserve.key, reserve.prefill);
  if (inbound.reserved || inbound.transfer || inbound.queue_age || inbound.lost) return;
  if (inbound.tokens.empty()) inbound.tokens = reserve.tokens;
  inbound.reserved = true;
  if (!context_.deadlines.waits(Wait::request, reserve.key.request)) {
    context_.deadlines.set(Wait::request, reserve.key.request, now + reserve.time_left);
  }
  context_.deadlines.set(Wait::reserve, reserve.key.request, now + context_.options.reserve_deadline);
  enqueue(inbound, attempt, book);
}

std::optional<Arrival> HandOffSink::on_offer(const Offer& offer, Attempt& attempt, AttemptBook& book, Instant now) {
  std::erase(gone_, offer.from);                     // it is back
  Inbound& inbound = inbound_of(offer.key, offer.from);
  if (inbound.offer) return std::nullopt;
  inbound.offer = offer;
  inbound.offered_at = now;
  if (inbound.lost) {
    tell_released(inbound, false);
    inbound.offer.reset();
    return std::nullopt;
  }
  if (inbound.transfer) {
    await_blocks(inbound, now);
    if (inbound.settled == 0) send_grant(inbound);       // P may have lost the first one; it ignores a repeated one
  }
  return advance(inbound, attempt, book, now);
}

std::optional<Arrival> HandOffSink::on_decode(const DecodeRequest& request, Attempt& attempt, AttemptBook& book, Instant now) {
  Inbound& inbound = inbound_of(request.key, request.prefill);
  if (inbound.request) return std::nullopt;
  const bool reserved_for_other_tokens = !inbound.tokens.empty() && inbound.tokens != request.tokens;
  inbound.request = request;
  inbound.tokens = request.tokens;
  context_.deadlines.set(Wait::request, request.key.request, now + request.time_left);
  if (inbound.lost || (!inbound.offer && !inbound.transfer && is_gone(inbound.prefill))) return arrive(inbound, 0, false);
  if (reserved_for_other_tokens) {
    inbound.table.release(context_.pool);
    return arrive(inbound, 0, false);
  }
  return advance(inbound, attempt, book, now);
}

// Both halves, or one that waits for the other.
std::optional<Arrival> HandOffSink::advance(Inbound& inbound, Attempt& attempt, AttemptBook& book, Instant now) {
  const RequestId request = inbound.key.request;
  DeadlineQueue& deadlines = context_.deadlines;
  if (inbound.offer && !inbound.tokens.empty() &&
      (inbound.offer->tokens != inbound.tokens.size() ||
       inbound.offer->blocks != context_.pool.blocks_for(inbound.tokens.size()))) {
    return lose(request, now);
  }
  if (!inbound.offer || !inbound.request) {
    deadlines.set(Wait::partner, request, now + context_.options.lease);
    return std::nullopt;
  }
  deadlines.clear(Wait::partner, request);
  deadlines.clear(Wait::reserve, request);
  deadlines.set(Wait::renewal, request, inbound.offered_at + renewal_interval(inbound));
  if (inbound.transfer) return settle(inbound);
  if (!inbound.queue_age) enqueue(inbound, attempt, book);
  return std::nullopt;
}

Duration HandOffSink::renewal_interval(const Inbound& inbound) const {
  return std::max<Duration>(inbound.offer->lease / 3, Milliseconds{1});
}

// ---- room ------------------------------------------------------------------------------------------------------------

void HandOffSink::enqueue(Inbound& inbound, Attempt& attempt, AttemptBook& book) {
  attempt.age = book.next_age();
  inbound.queue_age = attempt.age;
  queue_.emplace(attempt.age, inbound.key.request);
}

void HandOffSink::dequeue(Inbound& inbound) {
  if (inbound.queue_age) queue_.erase(*std::exchange(inbound.queue_age, std::nullopt));
}

std::optional<std::uint64_t> HandOffSink::first_queued_age() const {
  return queue_.empty() ? std::nullopt : std::optional{queue_.begin()->first};
}

bool HandOffSink::grant_first(bool keep_watermark, std::uint32_t keep_free, Instant now) {
  CHECK(!queue_.empty(), "nobody waits for a grant");
  Inbound& inbound = inbound_.at(queue_.begin()->second);
  const std::uint64_t needed = context_.pool.blocks_for(inbound.tokens.size());
  if (needed + keep_free + (keep_watermark ? context_.options.watermark_blocks : 0) > context_.pool.available()) return false;
  dequeue(inbound);
  grant(inbound, now);
  return true;
}

void HandOffSink::grant(Inbound& inbound, Instant now) {
  const RequestId request = inbound.key.request;
  CHECK(inbound.table.grow_to(inbound.tokens.size(), context_.pool), "room was counted");
  const TransferId transfer{transfer_base_ + ++transfers_drawn_};
  inbound.transfer = transfer;
  transfers_.emplace(transfer, request);
  inbound.slots.assign(std::size_t{context_.options.layers} * inbound.table.size(), Slot::awaited);
  inbound.digests.assign(inbound.slots.size(), 0);

  // The fabric takes slots for as long as the request may live: how long none may come is this core's to say.
  const auto ends = context_.deadlines.when(Wait::request, request);
  CHECK(ends.has_value(), "request {} is granted without a deadline", request.value);
  const Duration deadline = std::max<Duration>(*ends - now, Duration{1});
  context_.deadlines.clear(Wait::reserve, request);
  await_blocks(inbound, now);
  context_.out.add(AcceptTransfer{transfer, inbound.prefill, inbound.table.blocks(),
                                  block_identities(inbound.tokens, context_.pool.block_tokens()),
                                  static_cast<std::uint32_t>(inbound.tokens.size()), deadline});
  send_grant(inbound);
}

// A large KV on a slow link takes its time; one that brings nothing for so long has failed. A push's blocks come as the prefill goes
// on, which may queue: until its Offer only the request's own deadline bounds it.
void HandOffSink::await_blocks(const Inbound& inbound, Instant now) {
  if (!inbound.offer || !inbound.transfer) return;
  context_.deadlines.set(Wait::transfer, inbound.key.request, now + context_.options.transfer_deadline);
}

void HandOffSink::send_grant(const Inbound& inbound) {
  context_.out.send(inbound.prefill,
                    Grant{inbound.key, context_.options.self, inbound.prefill, *inbound.transfer, inbound.table.size()});
}

// ---- the blocks ------------------------------------------------------------------------------------------------------

std::optional<Arrival> HandOffSink::on_landed(const SlotsLanded& landed, Instant now) {
  Inbound* inbound = find(landed.transfer);
  if (inbound == nullptr) return std::nullopt;
  const std::uint32_t settled_before = inbound->settled;
  for (std::size_t i = 0; i < landed.slots.size(); ++i) {
    const std::uint32_t slot = landed.slots[i];
    if (slot >= inbound->slots.size() || inbound->slots[slot] != Slot::awaited) continue;
    inbound->slots[slot] = Slot::landed;
    if (i < landed.digests.size()) inbound->digests[slot] = landed.digests[i];
    ++inbound->settled;
  }
  if (inbound->settled > settled_before) await_blocks(*inbound, now);
  return settle(*inbound);
}

std::optional<Arrival> HandOffSink::on_rejected(const SlotRejected& rejected) {
  Inbound* inbound = find(rejected.transfer);
  if (inbound == nullptr || rejected.slot >= inbound->slots.size()) return std::nullopt;
  if (inbound->slots[rejected.slot] != Slot::awaited) return std::nullopt;
  inbound->slots[rejected.slot] = Slot::rejected;
  ++inbound->settled;
  ++inbound->rejected;
  ++context_.stats.blocks_rejected;
  return settle(*inbound);
}

std::optional<Arrival> HandOffSink::on_withdraw(const Withdraw& withdraw, Instant now) {
  const Inbound* inbound = find(withdraw.transfer);
  if (inbound == nullptr || inbound->key != withdraw.key || inbound->prefill != withdraw.from) return std::nullopt;
  return lose(withdraw.key.request, now);
}

std::optional<Arrival> HandOffSink::settle(Inbound& inbound) {
  if (inbound.settled < inbound.slots.size() || !inbound.request) return std::nullopt;
  if (inbound.rejected > 0) return arrive(inbound, whole_tokens(inbound), false);
  if (!inbound.offer) return std::nullopt;
  const std::uint64_t root = inbound.offer->root_digest;
  if (context_.options.verify_kv && root != 0 && root_digest(inbound.digests) != root) {
    context_.stats.blocks_rejected += inbound.slots.size();      // which one is unknown
    return arrive(inbound, 0, false);
  }
  return arrive(inbound, static_cast<std::uint32_t>(inbound.tokens.size()), true);
}

// Tokens of the leading blocks of which every layer landed.
std::uint32_t HandOffSink::whole_tokens(const Inbound& inbound) const {
  const std::uint32_t blocks = inbound.table.size();
  std::uint32_t whole = inbound.transfer ? blocks : 0;
  for (std::uint32_t slot = 0; slot < inbound.slots.size(); ++slot) {
    if (inbound.slots[slot] != Slot::landed) whole = std::min(whole, slot % blocks);
  }
  return std::min(whole * context_.pool.block_tokens(), static_cast<std::uint32_t>(inbound.tokens.size()));
}

std::optional<Arrival> HandOffSink::lose(RequestId request, Instant now) {
  const auto found = inbound_.find(request);
  if (found == inbound_.end()) return std::nullopt;
  Inbound& inbound = found->second;
  if (inbound.request) return arrive(inbound, whole_tokens(inbound), false);
  close_transfer(inbound, true);
  tell_released(inbound, false);
  clear_waits(inbound);
  inbound.table.release(context_.pool);
  inbound.offer.reset();
  inbound.lost = true;
  if (!context_.deadlines.waits(Wait::request, request))
    context_.deadlines.set(Wait::partner, request, now + context_.options.lease);
  return std::nullopt;
}

Arrival HandOffSink::arrive(Inbound& inbound, std::uint32_t stored, bool landed) {
  close_transfer(inbound, !landed);
  tell_released(inbound, landed);
  clear_waits(inbound);
  Arrival arrival{std::move(*inbound.request), std::move(inbound.table), stored};
  inbound_.erase(arrival.request.key.request);
  return arrival;
}

void HandOffSink::close_transfer(Inbound& inbound, bool drop) {
  dequeue(inbound);
  if (!inbound.transfer) return;
  if (drop) context_.out.add(DropTransfer{*inbound.transfer});
  transfers_.erase(*std::exchange(inbound.transfer, std::nullopt));
}

void HandOffSink::tell_released(const Inbound& inbound, bool landed) {
  if (inbound.offer) context_.out.send(inbound.prefill, Release{inbound.key, context_.options.self, landed});
}

void HandOffSink::clear_waits(const Inbound& inbound) {
  for (const Wait wait : {Wait::renewal, Wait::partner, Wait::transfer, Wait::reserve})
    context_.deadlines.clear(wait, inbound.key.request);
}

// ---- ends ------------------------------------------------------------------------------------------------------------

HandOffSink::Outcome HandOffSink::on_wait(Wait wait, RequestId request, Instant now) {
  const auto found = inbound_.find(request);
  if (found == inbound_.end()) return {};
  Inbound& inbound = found->second;
  switch (wait) {
    case Wait::renewal:
      context_.out.send(inbound.prefill, RenewLease{inbound.key, context_.options.self});
      context_.deadlines.set(Wait::renewal, request, now + renewal_interval(inbound));
      return {};
    case Wait::reserve:
      if (!inbound.transfer) dequeue(inbound);
      inbound.reserved = false;
      return {};
    case Wait::partner:
      if (inbound.request) return {lose(request, now)};
      drop(request);
      return {.over = true};
    case Wait::transfer:
      return {lose(request, now)};
    default:
      return {};
  }
}

void HandOffSink::drop(RequestId request) {
  const auto found = inbound_.find(request);
  if (found == inbound_.end()) return;
  Inbound& inbound = found->second;
  close_transfer(inbound, true);
  tell_released(inbound, false);
  clear_waits(inbound);
  inbound.table.release(context_.pool);
  inbound_.erase(found);
}

bool HandOffSink::cancel_choice(RequestId request, std::uint32_t choice) {
  const auto found = inbound_.find(request);
  if (found == inbound_.end() || !found->second.request) return false;
  auto& choices = found->second.request->choices;
  std::erase_if(choices, [&](const ChoiceStart& start) { return start.choice == choice; });
  return choices.empty();
}

std::vector<RequestId> HandOffSink::peer_down(InstanceRef peer) {
  if (!is_gone(peer)) gone_.push_back(peer);
  if (gone_.size() > kGoneRemembered) gone_.pop_front();
  std::vector<RequestId> requests;
  for (const auto& [request, inbound] : inbound_) {
    if (inbound.prefill == peer && !inbound.lost) requests.push_back(request);
  }
  return requests;
}

void HandOffSink::peer_up(InstanceRef peer) {
  std::erase(gone_, peer);
  for (const auto& [request, inbound] : inbound_) {
    if (inbound.prefill == peer && inbound.transfer && inbound.settled == 0) send_grant(inbound);
  }
}

std::uint64_t HandOffSink::tokens() const {
  std::uint64_t tokens = 0;
  for (const auto& [request, inbound] : inbound_) tokens += inbound.tokens.size();
  return tokens;
}

std::uint32_t HandOffSink::blocks() const {
  std::uint32_t blocks = 0;
  for (const auto& [request, inbound] : inbound_) blocks += inbound.table.size();
  return blocks;
}

void HandOffSink::check_invariants() const {
  for (const auto& [request, inbound] : inbound_) {
    CHECK(inbound.key.request == request, "request {} is filed under another name", request.value);
    CHECK(inbound.transfer.has_value() == !inbound.table.empty(), "request {} has blocks without a transfer", request.value);
    CHECK(!inbound.transfer || transfers_.at(*inbound.transfer) == request, "a transfer is not found by its id");
    CHECK(!inbound.queue_age || (queue_.at(*inbound.queue_age) == request && !inbound.transfer), "request {} queues wrongly",
          request.value);
    CHECK(context_.deadlines.waits(Wait::request, request) || context_.deadlines.waits(Wait::partner, request),
          "request {} is awaited without a deadline", request.value);
  }
  CHECK(queue_.size() + transfers_.size() <= inbound_.size(), "more transfers than requests");
}

}  // namespace baton
