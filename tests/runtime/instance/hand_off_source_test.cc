// P's side of the hand-off.
#include "tests/runtime/instance/desk_helpers.h"

namespace baton::testing {
namespace {

// A desk that holds 6 tokens (2 blocks) of request 1 for kPeer.
Desk holding() {
  Desk desk;
  desk.on(prefill(key(1), prompt(6), HandOffMode::pull)).finish_step({}, 5);
  return desk;
}

TEST(HandOffSource, offers_what_it_prefilled_and_sends_when_it_is_granted) {
  Desk desk = holding();
  const auto offers = desk.all<SendTo<Offer>>();
  ASSERT_THAT(offers, SizeIs(1));
  EXPECT_EQ(offers[0].to, kPeer);
  EXPECT_EQ(offers[0].message.tokens, 6u);
  EXPECT_EQ(offers[0].message.blocks, 2u);
  EXPECT_EQ(offers[0].message.root_digest, 5u);
  EXPECT_EQ(desk.leased(), 2u);

  desk.on(grant(key(1), 900, 2));
  const auto sends = desk.all<SendBlocks>();
  ASSERT_THAT(sends, SizeIs(1));
  EXPECT_EQ(sends[0].to, kPeer);
  EXPECT_FALSE(sends[0].by_layer);
  EXPECT_EQ(sends[0].tokens, 6u);
  EXPECT_EQ(sends[0].prefix, block_identities(prompt(6), 4));
  desk.on(grant(key(1), 900, 2));
  EXPECT_THAT(desk.all<SendBlocks>(), IsEmpty());          // a repeated grant
}

// The scheduler may pair two instances that have not found each other yet.
TEST(HandOffSource, offers_again_when_its_peer_connects_unless_it_was_granted) {
  Desk desk = holding();
  desk.on(PeerUp{kPeer});
  ASSERT_THAT(desk.sent<Offer>(), SizeIs(1));
  EXPECT_EQ(desk.sent<Offer>()[0].root_digest, 5u);
  desk.on(PeerUp{kSelf});
  EXPECT_THAT(desk.sent<Offer>(), IsEmpty());
  desk.on(grant(key(1), 900, 2)).on(PeerUp{kPeer});
  EXPECT_THAT(desk.sent<Offer>(), IsEmpty());
}

TEST(HandOffSource, asks_for_a_root_over_every_block_only_with_the_last_chunk) {
  InstanceOptions options = small();
  options.chunk_tokens = 4;
  Desk desk(options);
  desk.on(prefill(key(1), prompt(6), HandOffMode::pull));
  EXPECT_THAT(desk.step->sequences[0].seal, IsEmpty());
  desk.finish_step();
  EXPECT_EQ(desk.step->sequences[0].seal, block_identities(prompt(6), 4));
  EXPECT_THAT(desk.step->sequences[0].blocks, SizeIs(2));
}

TEST(HandOffSource, frees_the_blocks_when_both_the_release_and_the_sends_completion_came) {
  for (const bool release_first : {true, false}) {
    Desk desk = holding();
    desk.on(grant(key(1), 900, 2));
    const auto release = [&] { desk.on(Release{key(1), kPeer, true}); };
    const auto complete = [&] { desk.on(SendsComplete{TransferId{900}}); };
    release_first ? release() : complete();
    EXPECT_EQ(desk.used(), 2u);
    EXPECT_FALSE(desk.core.idle());
    EXPECT_THAT(desk.all<AbortSends>(), IsEmpty());
    release_first ? complete() : release();
    EXPECT_EQ(desk.used(), 0u);
    EXPECT_TRUE(desk.core.idle());
  }
}

TEST(HandOffSource, aborts_the_sends_when_the_receiver_gives_up) {
  Desk desk = holding();
  desk.on(grant(key(1), 900, 2)).on(Release{key(1), kPeer, false});
  EXPECT_THAT(desk.all<AbortSends>(), SizeIs(1));
  EXPECT_EQ(desk.used(), 2u);
  desk.on(SendsComplete{TransferId{900}, true});
  EXPECT_EQ(desk.used(), 0u);
}

TEST(HandOffSource, withdraws_its_offer_when_the_sends_fail) {
  Desk desk = holding();
  desk.on(grant(key(1), 900, 2)).on(SendsComplete{TransferId{900}, true});
  const auto withdrawn = desk.all<SendTo<Withdraw>>();
  ASSERT_THAT(withdrawn, SizeIs(1));
  EXPECT_EQ(withdrawn[0].to, kPeer);
  EXPECT_EQ(withdrawn[0].message.key, key(1));
  EXPECT_EQ(withdrawn[0].message.transfer, TransferId{900});
  EXPECT_EQ(desk.failure(), std::nullopt) << "D goes on by itself";
  EXPECT_EQ(desk.used(), 0u);
  EXPECT_TRUE(desk.core.idle());
  desk.on(Release{key(1), kPeer, false}).pass(Milliseconds{3000});
  EXPECT_EQ(desk.failure(), std::nullopt);
}

TEST(HandOffSource, withdraws_nothing_that_it_aborted_or_that_landed) {
  for (const bool landed : {false, true}) {
    Desk desk = holding();
    desk.on(grant(key(1), 900, 2)).on(Release{key(1), kPeer, landed}).on(SendsComplete{TransferId{900}, true});
    EXPECT_THAT(desk.sent<Withdraw>(), IsEmpty());
    EXPECT_TRUE(desk.core.idle());
  }
}

TEST(HandOffSource, tells_the_gateway_when_the_lease_ends_and_frees_the_blocks) {
  for (const bool granted : {false, true}) {
    Desk desk = holding();
    if (granted) desk.on(grant(key(1), 900, 2));
    desk.pass(Milliseconds{1999});
    EXPECT_EQ(desk.failure(), std::nullopt);
    desk.pass(Milliseconds{1});
    EXPECT_EQ(desk.failure(), ErrorCode::lease_ended);
    EXPECT_EQ(desk.all<SendTo<AttemptFailed>>()[0].to, kGatewayA);
    EXPECT_EQ(desk.sent<AttemptFailed>()[0].culprit, kPeer);
    EXPECT_EQ(desk.core.stats().leases_ended, 1u);
    EXPECT_THAT(desk.all<AbortSends>(), SizeIs(granted ? 1 : 0));
    if (granted) desk.on(SendsComplete{TransferId{900}, true});
    EXPECT_EQ(desk.used(), 0u);
    EXPECT_TRUE(desk.core.idle());
  }
}

TEST(HandOffSource, holds_on_as_long_as_the_right_peer_renews) {
  Desk desk = holding();
  for (int i = 0; i < 5; ++i) {
    desk.pass(Milliseconds{1500}).on(RenewLease{key(1), kPeer});
    EXPECT_EQ(desk.leased(), 2u);
  }
  desk.pass(Milliseconds{1500}).on(RenewLease{key(1), kOther}).pass(Milliseconds{500});
  EXPECT_EQ(desk.failure(), ErrorCode::lease_ended);
}

TEST(HandOffSource, ignores_grants_and_releases_of_others_and_of_other_epochs) {
  Desk desk = holding();
  Grant foreign = grant(key(1), 900, 2);
  foreign.from = kOther;
  desk.on(foreign).on(grant(key(1, 2), 901, 2)).on(Release{key(1), kOther, true}).on(Release{key(1, 2), kPeer, true});
  EXPECT_THAT(desk.all<SendBlocks>(), IsEmpty());
  EXPECT_EQ(desk.leased(), 2u);
}

TEST(HandOffSource, fails_the_attempt_when_the_grant_does_not_fit_the_offer) {
  Desk desk = holding();
  desk.on(grant(key(1), 900, 3));
  EXPECT_EQ(desk.failure(), ErrorCode::transfer_failed);
  EXPECT_EQ(desk.used(), 0u);
}

TEST(HandOffSource, fails_attempts_bound_for_a_decode_instance_that_went_down) {
  Desk desk = holding();
  desk.on(prefill(key(2), prompt(6), HandOffMode::pull));          // running
  desk.on(prefill(key(3), prompt(6, 40)));                         // local: not concerned
  desk.on(PeerDown{kPeer});
  ASSERT_THAT(desk.sent<AttemptFailed>(), SizeIs(2));
  EXPECT_EQ(desk.failure(), ErrorCode::peer_unreachable);
  EXPECT_EQ(desk.sent<AttemptFailed>()[0].culprit, kPeer);
  desk.finish_step();
  EXPECT_EQ(desk.leased(), 0u);
  EXPECT_EQ(desk.step->sequences[0].key, key(3));
}

// ---- push by layer ---------------------------------------------------------------------------------------------------

struct Plan {
  std::uint32_t begin, end;
  bool last;
  bool operator==(const Plan&) const = default;
};
std::vector<Plan> plans(const Desk& desk) {
  std::vector<Plan> found;
  for (const PushPlan& plan : desk.step->sequences.at(0).push) found.push_back({plan.block_begin, plan.block_end, plan.last});
  return found;
}

Desk chunked(std::uint32_t chunk) {
  InstanceOptions options = small();
  options.chunk_tokens = chunk;
  return Desk(options);
}

TEST(HandOffPush, plans_each_block_once_as_it_is_complete_and_the_partial_one_with_the_last_chunk) {
  Desk desk = chunked(6);
  desk.on(grant(key(1), 900, 4));                          // overtook the request
  desk.on(prefill(key(1), prompt(14), HandOffMode::push_by_layer));
  ASSERT_THAT(desk.all<SendBlocks>(), SizeIs(1));
  EXPECT_TRUE(desk.all<SendBlocks>()[0].by_layer);
  EXPECT_TRUE(std::holds_alternative<SendBlocks>(desk.last[0]));             // before the step that adds to it
  EXPECT_THAT(plans(desk), ElementsAre(Plan{0, 1, false}));
  desk.finish_step();
  EXPECT_THAT(plans(desk), ElementsAre(Plan{1, 3, false}));
  desk.finish_step();
  EXPECT_THAT(plans(desk), ElementsAre(Plan{3, 4, true}));
  desk.finish_step();
  EXPECT_THAT(desk.sent<Offer>(), SizeIs(1));
  EXPECT_THAT(desk.all<SendBlocks>(), IsEmpty());
}

TEST(HandOffPush, plans_cached_blocks_with_the_first_step) {
  Desk desk = chunked(4);
  desk.on(prefill(key(9), prompt(9))).finish_step().finish_step().finish_step({kEos});
  desk.on(grant(key(1), 900, 4)).on(prefill(key(1), prompt(14), HandOffMode::push_by_layer));
  EXPECT_EQ(desk.step->sequences[0].start, 8u);
  EXPECT_THAT(plans(desk), ElementsAre(Plan{0, 3, false}));
  desk.finish_step();
  EXPECT_THAT(plans(desk), ElementsAre(Plan{3, 4, true}));
}

TEST(HandOffPush, catches_up_when_the_grant_comes_during_the_prefill) {
  Desk desk = chunked(4);
  desk.on(prefill(key(1), prompt(14), HandOffMode::push_by_layer)).finish_step();
  EXPECT_THAT(plans(desk), IsEmpty());
  desk.on(grant(key(1), 900, 4)).finish_step();
  EXPECT_THAT(plans(desk), ElementsAre(Plan{0, 3, false}));
}

TEST(HandOffPush, sends_the_whole_at_once_when_the_grant_comes_with_or_after_the_last_chunk) {
  for (const bool after : {false, true}) {
    Desk desk;
    desk.on(prefill(key(1), prompt(6), HandOffMode::push_by_layer));
    if (!after) desk.on(grant(key(1), 900, 2));            // while the only step runs without a plan
    desk.finish_step();
    EXPECT_THAT(desk.sent<Offer>(), SizeIs(1));
    if (after) desk.on(grant(key(1), 900, 2));
    ASSERT_THAT(desk.all<SendBlocks>(), SizeIs(1));
    EXPECT_FALSE(desk.all<SendBlocks>()[0].by_layer);
  }
}

TEST(HandOffPush, aborts_a_cancelled_push_only_after_the_step_that_may_still_add_to_it) {
  Desk desk = chunked(4);
  desk.on(grant(key(1), 900, 4)).on(prefill(key(1), prompt(14), HandOffMode::push_by_layer));
  desk.on(CancelRequest{key(1)});
  EXPECT_THAT(desk.all<AbortSends>(), IsEmpty());
  desk.finish_step();
  EXPECT_THAT(desk.all<AbortSends>(), SizeIs(1));
  EXPECT_EQ(desk.used(), 4u);                              // all granted blocks, until the fabric lets go
  desk.on(SendsComplete{TransferId{900}, true});
  EXPECT_EQ(desk.used(), 0u);
}

TEST(HandOffPush, withdraws_instead_of_offering_when_the_sends_failed_before_the_last_step_was_done) {
  Desk desk;
  desk.on(grant(key(1), 900, 2)).on(prefill(key(1), prompt(6), HandOffMode::push_by_layer));
  desk.on(SendsComplete{TransferId{900}, true});           // the fabric is faster than the sampler
  EXPECT_THAT(desk.sent<Withdraw>(), IsEmpty());
  desk.finish_step();
  EXPECT_THAT(desk.tokens(), SizeIs(1));
  EXPECT_THAT(desk.sent<Offer>(), IsEmpty());
  ASSERT_THAT(desk.sent<Withdraw>(), SizeIs(1));
  EXPECT_EQ(desk.sent<Withdraw>()[0].transfer, TransferId{900});
  EXPECT_EQ(desk.used(), 0u);
  EXPECT_TRUE(desk.core.idle());
}

TEST(HandOffPush, gives_the_grant_up_when_every_choice_ends_at_its_first_token) {
  Desk desk;
  desk.on(grant(key(1), 900, 2)).on(prefill(key(1), prompt(6), HandOffMode::push_by_layer));
  desk.finish_step({kEos});
  EXPECT_THAT(desk.sent<Offer>(), IsEmpty());
  EXPECT_THAT(desk.all<AbortSends>(), SizeIs(1));
}

TEST(HandOffPush, is_not_preempted_while_its_send_is_open) {
  InstanceOptions options = small();
  options.blocks = 5;
  options.chunk_tokens = options.prefill_token_budget = 2;
  Desk desk(options);
  desk.on(prefill(key(1), prompt(4, 10))).on(grant(key(2), 900, 3));
  PrefillRequest pushed = prefill(key(2), prompt(12, 40), HandOffMode::push_by_layer);
  pushed.sampling.max_tokens = 4;
  desk.on(pushed);
  for (int i = 0; i < 6; ++i) desk.finish_step();          // now 1 wants a third block, and 2, younger, has the other three
  EXPECT_EQ(desk.core.stats().preemptions, 0u);
  ASSERT_THAT(desk.step->sequences, SizeIs(1));
  EXPECT_EQ(desk.step->sequences[0].key, key(2));
  desk.finish_step().finish_step();
  EXPECT_FALSE(desk.step);                                 // 1 sits out until the blocks come back
  EXPECT_EQ(desk.leased(), 3u);
  desk.on(SendsComplete{TransferId{900}}).on(Release{key(2), kPeer, true});
  ASSERT_TRUE(desk.step);
  EXPECT_EQ(desk.step->sequences[0].key, key(1));
}

}  // namespace
}  // namespace baton::testing
