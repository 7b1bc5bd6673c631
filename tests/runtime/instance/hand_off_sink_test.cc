// D's side of the hand-off.
#include <set>

#include "tests/runtime/instance/desk_helpers.h"

namespace baton::testing {
namespace {

// Request `id` of 10 tokens (3 blocks) granted and moving; its transfer.
TransferId move(Desk& desk, std::uint64_t id = 1, std::vector<ChoiceStart> choices = {{0, 50}}) {
  desk.on(decode(key(id), prompt(10), std::move(choices))).on(offer(key(id), 10, Desk::root_of(3)));
  return desk.sent<Grant>().at(0).transfer;
}

TEST(HandOffSink, grants_when_both_halves_are_there_whichever_is_first) {
  for (const bool offer_first : {true, false}) {
    Desk desk;
    const auto one = [&] { desk.on(offer(key(1), 10)); };
    const auto other = [&] { desk.on(decode(key(1), prompt(10))); };
    offer_first ? one() : other();
    EXPECT_THAT(desk.sent<Grant>(), IsEmpty());
    EXPECT_EQ(desk.used(), 0u);
    offer_first ? other() : one();
    ASSERT_THAT(desk.sent<Grant>(), SizeIs(1));
    const Grant granted = desk.sent<Grant>()[0];
    const AcceptTransfer accept = desk.all<AcceptTransfer>().at(0);
    EXPECT_EQ(granted.target, kPeer);
    EXPECT_EQ(granted.blocks, 3u);
    EXPECT_EQ(accept.transfer, granted.transfer);
    EXPECT_EQ(accept.from, kPeer);
    EXPECT_EQ(accept.tokens, 10u);
    EXPECT_EQ(accept.prefix, block_identities(prompt(10), 4));
    EXPECT_EQ(desk.leased(), 3u);
  }
}

TEST(HandOffSink, joins_the_batch_when_every_slot_landed_and_the_root_is_equal) {
  Desk desk;
  const TransferId transfer = move(desk);
  desk.land(transfer, 3, {4});
  EXPECT_FALSE(desk.step);
  desk.on(SlotsLanded{transfer, {4}, {1004}});
  const auto releases = desk.all<SendTo<Release>>();
  ASSERT_THAT(releases, SizeIs(1));
  EXPECT_EQ(releases[0].to, kPeer);
  EXPECT_TRUE(releases[0].message.landed);
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(10, 1)));
  EXPECT_THAT(desk.step->sequences[0].tokens, ElementsAre(50));
  EXPECT_EQ(desk.leased(), 0u);
  desk.finish_step({77});
  EXPECT_EQ(desk.tokens().at(0).index, 1u);
  EXPECT_EQ(desk.core.stats().recomputed_tokens, 0u);
}

TEST(HandOffSink, grants_again_when_its_peer_connects_unless_something_arrived) {
  Desk desk;
  const TransferId transfer = move(desk);
  desk.on(PeerUp{kPeer});
  ASSERT_THAT(desk.sent<Grant>(), SizeIs(1));
  EXPECT_EQ(desk.sent<Grant>()[0].transfer, transfer);
  desk.on(SlotsLanded{transfer, {0}, {}}).on(PeerUp{kPeer});
  EXPECT_THAT(desk.sent<Grant>(), IsEmpty());
}

TEST(HandOffSink, forks_the_choices_that_go_on) {
  Desk desk;
  desk.land(move(desk, 1, {{1, 50}, {3, 60}}), 3);
  ASSERT_THAT(desk.step->sequences, SizeIs(2));
  EXPECT_THAT(desk.step->copies, SizeIs(1));
  EXPECT_THAT(desk.step->sequences[0].sample_choices, ElementsAre(1));
  EXPECT_THAT(desk.step->sequences[1].sample_choices, ElementsAre(3));
  EXPECT_THAT(desk.step->sequences[1].tokens, ElementsAre(60));
}

TEST(HandOffSink, makes_what_landed_part_of_its_prefix_index_but_has_the_whole_prompt_sent_again) {
  Desk desk;
  desk.land(move(desk), 3).finish_step({kEos});
  EXPECT_TRUE(desk.core.idle());
  desk.on(prefill(key(5), prompt(10)));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(8, 2)));
  desk.finish_step({kEos});
  desk.on(decode(key(6), prompt(10))).on(offer(key(6), 10));
  EXPECT_EQ(desk.sent<Grant>().at(0).blocks, 3u);
}

TEST(HandOffSink, keeps_the_blocks_before_a_rejected_one_and_recomputes_from_its_first_token) {
  struct {
    std::uint32_t rejected;                                // slot = layer * 3 + block
    std::uint32_t kept_tokens;
  } const cases[] = {{0, 0}, {1, 4}, {2, 8}, {3, 0}, {4, 4}, {5, 8}};
  for (const auto& c : cases) {
    Desk desk;
    const TransferId transfer = move(desk);
    desk.on(SlotRejected{transfer, c.rejected});
    EXPECT_FALSE(desk.step) << "the others have not landed";
    desk.land(transfer, 3, {c.rejected});
    EXPECT_THAT(desk.all<DropTransfer>(), SizeIs(1));
    ASSERT_THAT(desk.sent<Release>(), SizeIs(1));
    EXPECT_FALSE(desk.sent<Release>()[0].landed);
    EXPECT_THAT(desk.spans(), ElementsAre(Pair(c.kept_tokens, 11 - c.kept_tokens)));
    desk.finish_step();
    EXPECT_EQ(desk.tokens().at(0).index, 1u);
    EXPECT_EQ(desk.core.stats().blocks_rejected, 1u);
    EXPECT_EQ(desk.core.stats().recomputed_tokens, 10 - c.kept_tokens);
  }
}

TEST(HandOffSink, recomputes_everything_when_the_root_differs) {
  Desk desk;
  desk.on(decode(key(1), prompt(10))).on(offer(key(1), 10, 12345));
  desk.land(desk.sent<Grant>().at(0).transfer, 3);
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 11)));
  EXPECT_FALSE(desk.sent<Release>().at(0).landed);
  EXPECT_GT(desk.core.stats().blocks_rejected, 0u);
}

TEST(HandOffSink, recomputes_what_did_not_land_when_the_transfer_fails_or_its_peer_goes_down) {
  for (const bool peer_down : {false, true}) {
    Desk desk;
    const TransferId transfer = move(desk, 1, {{0, 50}, {1, 60}});
    desk.on(SlotsLanded{transfer, {0, 3, 1}, {}});         // block 0 whole, block 1 in one layer
    if (peer_down) {
      desk.on(PeerDown{kPeer});
    } else {
      desk.on(TransferFailed{transfer, {}});
    }
    EXPECT_THAT(desk.all<DropTransfer>(), ElementsAre(::testing::Field(&DropTransfer::transfer, transfer)));
    ASSERT_THAT(desk.spans(), ElementsAre(Pair(4, 7), Pair(4, 7)));
    EXPECT_EQ(desk.step->sequences[1].tokens.back(), 60);
    desk.land(transfer, 3);                                // late
    desk.finish_step({kEos, kEos});
    EXPECT_EQ(desk.core.stats().recomputed_tokens, 12u);
    EXPECT_TRUE(desk.core.idle());
    EXPECT_EQ(desk.used(), 0u);
  }
}

TEST(HandOffSink, frees_a_lost_push_and_recomputes_once_the_tokens_come) {
  Desk desk;
  desk.on(reserve(key(1), prompt(10)));
  desk.on(TransferFailed{desk.sent<Grant>().at(0).transfer, {}});
  EXPECT_EQ(desk.used(), 0u);
  desk.on(offer(key(1), 10));                              // nobody will pull it
  EXPECT_FALSE(desk.sent<Release>().at(0).landed);
  desk.on(decode(key(1), prompt(10)));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 11)));
}

TEST(HandOffSink, recomputes_when_no_offer_comes_within_a_lease) {
  Desk desk;
  desk.on(decode(key(1), prompt(10))).pass(Milliseconds{1999});
  EXPECT_FALSE(desk.step);
  desk.pass(Milliseconds{1});
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 11)));
  desk.on(offer(key(1), 10));                              // late
  EXPECT_FALSE(desk.sent<Release>().at(0).landed);
}

TEST(HandOffSink, recomputes_at_once_when_the_prefill_instance_went_down_before_the_request_came) {
  Desk desk;
  desk.on(PeerDown{kPeer}).on(decode(key(1), prompt(10)));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 11)));
  desk.on(offer(key(2), 10)).on(decode(key(2), prompt(10)));       // it is back
  EXPECT_THAT(desk.sent<Grant>(), SizeIs(1));
}

TEST(HandOffSink, waits_for_the_offer_of_a_prefill_instance_that_is_connected_again) {
  Desk desk;
  desk.on(PeerUp{kPeer}).on(PeerDown{kPeer}).on(PeerUp{kPeer}).on(decode(key(1), prompt(10)));
  EXPECT_FALSE(desk.step);
  desk.on(offer(key(1), 10));
  EXPECT_THAT(desk.sent<Grant>(), SizeIs(1));
}

// Whether the holder can send is the holder's to say: by the time of the grant the link may be back.
TEST(HandOffSink, takes_a_lost_kv_link_for_no_sign_of_death) {
  Desk desk;
  desk.on(PeerUp{kPeer}).on(KvLinkDown{kPeer}).on(decode(key(1), prompt(10)));
  EXPECT_FALSE(desk.step);
  desk.on(offer(key(1), 10));
  EXPECT_THAT(desk.sent<Grant>(), SizeIs(1));
}

TEST(HandOffSink, recomputes_what_did_not_land_as_soon_as_the_holder_withdraws) {
  Desk desk;
  const TransferId transfer = move(desk);
  desk.on(SlotsLanded{transfer, {0, 3, 1}, {}});
  desk.on(Withdraw{key(1), kOther, kSelf, transfer}).on(Withdraw{key(1), kPeer, kOther, transfer});
  desk.on(Withdraw{key(1), kPeer, kSelf, TransferId{transfer.value + 1}}).on(Withdraw{key(1, 2), kPeer, kSelf, transfer});
  EXPECT_FALSE(desk.step) << "of another holder, receiver, transfer, attempt";
  desk.on(Withdraw{key(1), kPeer, kSelf, transfer});
  EXPECT_THAT(desk.all<DropTransfer>(), SizeIs(1));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(4, 7)));
  desk.on(Withdraw{key(1), kPeer, kSelf, transfer}).finish_step({kEos});
  EXPECT_TRUE(desk.core.idle());
}

TEST(HandOffSink, recomputes_a_push_that_was_withdrawn_once_the_tokens_come) {
  Desk desk;
  desk.on(reserve(key(1), prompt(10)));
  desk.on(Withdraw{key(1), kPeer, kSelf, desk.sent<Grant>().at(0).transfer});
  EXPECT_EQ(desk.used(), 0u);
  desk.on(decode(key(1), prompt(10)));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 11)));
}

TEST(HandOffSink, lets_an_offer_go_when_no_decode_request_comes_within_a_lease) {
  Desk desk;
  desk.on(offer(key(1), 10)).pass(Milliseconds{2000});
  ASSERT_THAT(desk.sent<Release>(), SizeIs(1));
  EXPECT_FALSE(desk.sent<Release>()[0].landed);
  EXPECT_TRUE(desk.core.idle());
}

TEST(HandOffSink, gives_a_transfer_up_at_its_deadline) {
  Desk desk;
  move(desk);
  desk.pass(Milliseconds{10000});
  EXPECT_THAT(desk.all<DropTransfer>(), SizeIs(1));
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 11)));
}

TEST(HandOffSink, waits_for_a_slow_transfer_as_long_as_blocks_keep_landing) {
  Desk desk;
  const TransferId transfer = move(desk);
  EXPECT_GT(desk.all<AcceptTransfer>()[0].deadline, Milliseconds{50000}) << "the request's own";
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    desk.pass(Milliseconds{9999}).on(SlotsLanded{transfer, {slot}, {1000 + slot}});
    EXPECT_THAT(desk.all<DropTransfer>(), IsEmpty()) << slot;
  }
  desk.pass(Milliseconds{9999}).on(SlotsLanded{transfer, {0}, {1000}});
  EXPECT_THAT(desk.all<DropTransfer>(), IsEmpty());
  desk.pass(Milliseconds{1});
  EXPECT_THAT(desk.all<DropTransfer>(), SizeIs(1)) << "the same block again is no progress";
}

TEST(HandOffSink, renews_the_lease_at_a_third_of_it_while_it_waits_and_while_blocks_move) {
  InstanceOptions options = small();
  options.blocks = 5;
  Desk desk(options);
  desk.on(decode(key(1), prompt(10))).on(offer(key(1), 10));       // moves
  desk.on(decode(key(2), prompt(10))).on(offer(key(2), 10));       // waits for room
  EXPECT_THAT(desk.sent<Grant>(), IsEmpty());
  desk.pass(Milliseconds{666});
  EXPECT_THAT(desk.sent<RenewLease>(), IsEmpty());
  desk.pass(Milliseconds{1});
  EXPECT_THAT(desk.sent<RenewLease>(), SizeIs(2));
  desk.pass(Milliseconds{2001});
  EXPECT_THAT(desk.sent<RenewLease>(), SizeIs(6));
}

TEST(HandOffSink, grants_first_come_first_served_and_never_overtakes) {
  InstanceOptions options = small();
  options.blocks = 6;
  Desk desk(options);
  const auto wants = [&](std::uint64_t id, std::uint32_t tokens) {
    DecodeRequest request = decode(key(id), prompt(tokens, static_cast<TokenId>(100 * id)));
    request.sampling.max_tokens = 2;
    desk.on(request).on(offer(key(id), tokens, Desk::root_of((tokens + 3) / 4)));
  };
  wants(1, 14);                                            // 4 blocks of 6
  const TransferId first = desk.sent<Grant>().at(0).transfer;
  wants(2, 16);                                            // 4: waits
  wants(3, 4);                                             // 1: would fit
  EXPECT_THAT(desk.sent<Grant>(), IsEmpty());
  desk.land(first, 4).finish_step();                       // 1 ends, its blocks are free
  ASSERT_THAT(desk.sent<Grant>(), SizeIs(2));
  EXPECT_EQ(desk.sent<Grant>()[0].key, key(2));
}

TEST(HandOffSink, never_uses_a_transfer_id_twice_in_any_life) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t life = 1; life <= 20; ++life) {
    InstanceOptions options = small();
    options.self.incarnation = Incarnation{life};
    InstanceCore core(options);
    for (std::uint64_t id = 1; id <= 5; ++id) {
      Reserve message = reserve(key(id), prompt(10));
      message.target = options.self;
      for (const InstanceCommand& command : core.on(message, Instant{1})) {
        if (const auto* accept = std::get_if<AcceptTransfer>(&command)) seen.insert(accept->transfer.value);
      }
    }
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(HandOffSink, grants_a_reservation_before_the_offer_and_joins_when_all_three_are_there) {
  for (const int order : {0, 1, 2}) {                      // which of blocks, Offer, DecodeRequest is last
    Desk desk;
    desk.on(reserve(key(1), prompt(10)));
    const TransferId transfer = desk.sent<Grant>().at(0).transfer;
    EXPECT_GT(desk.all<AcceptTransfer>()[0].deadline, Milliseconds{50000});      // the prefill may queue
    desk.land(transfer, 3, {5});
    if (order != 0) desk.on(SlotsLanded{transfer, {5}, {1005}});
    if (order != 1) desk.on(offer(key(1), 10, Desk::root_of(3)));
    if (order != 2) desk.on(decode(key(1), prompt(10)));
    EXPECT_FALSE(desk.step);
    if (order == 0) desk.on(SlotsLanded{transfer, {5}, {1005}});
    if (order == 1) desk.on(offer(key(1), 10, Desk::root_of(3)));
    if (order == 2) desk.on(decode(key(1), prompt(10)));
    EXPECT_THAT(desk.spans(), ElementsAre(Pair(10, 1)));
    EXPECT_TRUE(desk.sent<Release>().at(0).landed);
  }
}

TEST(HandOffSink, repeats_the_grant_of_a_push_of_which_nothing_has_come_by_the_offer) {
  Desk desk;
  desk.on(reserve(key(1), prompt(10)));
  const Grant granted = desk.sent<Grant>().at(0);
  desk.on(offer(key(1), 10));
  ASSERT_THAT(desk.sent<Grant>(), SizeIs(1));
  EXPECT_EQ(desk.sent<Grant>()[0].transfer, granted.transfer);
  EXPECT_THAT(desk.all<AcceptTransfer>(), IsEmpty());
}

TEST(HandOffSink, turns_a_reservation_without_room_into_a_pull_and_lets_others_pass_meanwhile) {
  InstanceOptions options = small();
  options.blocks = 6;
  Desk desk(options);
  DecodeRequest first = decode(key(1), prompt(18));
  first.sampling.max_tokens = 6;
  desk.on(first).on(offer(key(1), 18, Desk::root_of(5)));
  const TransferId transfer = desk.sent<Grant>().at(0).transfer;
  desk.on(reserve(key(2), prompt(8))).on(decode(key(3), prompt(4))).on(offer(key(3), 4));
  EXPECT_THAT(desk.sent<Grant>(), IsEmpty());
  desk.pass(Milliseconds{1000});                           // reserve_deadline
  ASSERT_THAT(desk.sent<Grant>(), SizeIs(1));
  EXPECT_EQ(desk.sent<Grant>()[0].key, key(3));
  desk.land(transfer, 5).finish_step({kEos});
  EXPECT_THAT(desk.sent<Grant>(), IsEmpty());              // room is not enough: it waits for both halves
  desk.on(decode(key(2), prompt(8))).on(offer(key(2), 8));
  EXPECT_EQ(desk.sent<Grant>().at(0).key, key(2));
}

TEST(HandOffSink, refuses_a_request_that_can_never_fit_even_if_its_kv_is_moving) {
  InstanceOptions options = small();
  options.blocks = 4;
  Desk desk(options);
  desk.on(reserve(key(1), prompt(10)));
  EXPECT_EQ(desk.used(), 3u);
  DecodeRequest request = decode(key(1), prompt(10));
  request.sampling.max_tokens = 20;
  desk.on(request);
  EXPECT_EQ(desk.failure(), ErrorCode::invalid_argument);
  EXPECT_EQ(desk.used(), 0u);
}

TEST(HandOffSink, recomputes_when_the_offer_is_of_other_tokens_than_the_request) {
  Desk desk;
  desk.on(decode(key(1), prompt(10))).on(offer(key(1), 9));
  EXPECT_THAT(desk.sent<Grant>(), IsEmpty());
  EXPECT_FALSE(desk.sent<Release>().at(0).landed);
  EXPECT_THAT(desk.spans(), ElementsAre(Pair(0, 11)));
}

}  // namespace
}  // namespace baton::testing
