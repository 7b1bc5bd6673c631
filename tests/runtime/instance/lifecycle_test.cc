// Epochs, cancellation, deadlines, peers that go, and what an instance says of itself.
#include "tests/runtime/instance/desk_helpers.h"

namespace baton::testing {
namespace {

TEST(Epochs, a_newer_attempt_supersedes_an_older_one_in_every_stage) {
  using Setup = void (*)(Desk&);
  const Setup stages[] = {
      [](Desk& d) { d.on(prefill(key(9), prompt(4))).on(prefill(key(1), prompt(8))); },                        // waiting
      [](Desk& d) { d.on(prefill(key(1), prompt(8))); },                                                       // running
      [](Desk& d) { d.on(prefill(key(1), prompt(8), HandOffMode::pull)).finish_step(); },                      // holding
      [](Desk& d) { d.on(offer(key(1), 8)); },                                                                 // offered
      [](Desk& d) { d.on(decode(key(1), prompt(8))).on(offer(key(1), 8)); },                                   // moving
  };
  for (const Setup& set_up : stages) {
    Desk desk;
    set_up(desk);
    desk.on(prefill(key(1, 2), prompt(8)));
    EXPECT_EQ(desk.failure(), std::nullopt);               // the gateway knows
    EXPECT_EQ(desk.leased(), 0u);
    while (desk.step) desk.finish_step({kEos, kEos});
    EXPECT_TRUE(desk.core.idle());
    EXPECT_EQ(desk.used(), 0u);
  }
}

TEST(Epochs, messages_of_an_older_attempt_are_ignored_while_a_newer_lives_and_after_it_ended) {
  for (const bool ended : {false, true}) {
    Desk desk;
    desk.on(prefill(key(1, 2), prompt(8)));
    if (ended) desk.finish_step({kEos});
    const LoadReport before = desk.core.load();
    desk.on(prefill(key(1), prompt(8))).on(decode(key(1), prompt(8))).on(reserve(key(1), prompt(8)));
    desk.on(grant(key(1), 7, 2)).on(RenewLease{key(1), kPeer}).on(Release{key(1), kPeer, true}).on(CancelRequest{key(1)});
    EXPECT_EQ(desk.core.load(), before);
    desk.on(offer(key(1), 8));
    EXPECT_FALSE(desk.sent<Release>().at(0).landed);       // so that its holder need not wait
    EXPECT_EQ(desk.core.load(), before);
  }
}

TEST(Cancel, frees_everything_in_every_stage) {
  struct {
    const char* stage;
    void (*set_up)(Desk&);
    std::size_t aborts, drops, releases;
  } const cases[] = {
      {"holding", [](Desk& d) { d.on(prefill(key(1), prompt(8), HandOffMode::pull)).finish_step(); }, 0, 0, 0},
      {"sending", [](Desk& d) { d.on(prefill(key(1), prompt(8), HandOffMode::pull)).finish_step().on(grant(key(1), 7, 2)); },
       1, 0, 0},
      {"offered", [](Desk& d) { d.on(offer(key(1), 8)); }, 0, 0, 1},
      {"reserved", [](Desk& d) { d.on(reserve(key(1), prompt(8))); }, 0, 1, 0},
      {"moving", [](Desk& d) { d.on(decode(key(1), prompt(8))).on(offer(key(1), 8)); }, 0, 1, 1},
  };
  for (const auto& c : cases) {
    Desk desk;
    c.set_up(desk);
    desk.on(CancelRequest{key(1)});
    EXPECT_THAT(desk.all<AbortSends>(), SizeIs(c.aborts)) << c.stage;
    EXPECT_THAT(desk.all<DropTransfer>(), SizeIs(c.drops)) << c.stage;
    EXPECT_THAT(desk.sent<Release>(), SizeIs(c.releases)) << c.stage;
    desk.on(SendsComplete{TransferId{7}, true});
    EXPECT_EQ(desk.used(), 0u) << c.stage;
    EXPECT_TRUE(desk.core.idle()) << c.stage;
  }
}

TEST(Cancel, holds_against_messages_that_come_after_it) {
  Desk desk;
  desk.on(CancelRequest{key(1, 3)});
  desk.on(prefill(key(1, 3), prompt(8))).on(decode(key(1, 2), prompt(8))).on(reserve(key(1, 3), prompt(8)));
  EXPECT_TRUE(desk.core.idle());
  EXPECT_EQ(desk.failure(), std::nullopt);
  desk.on(prefill(key(1, 4), prompt(8)));
  EXPECT_FALSE(desk.core.idle());
}

TEST(Deadline, ends_a_request_in_every_stage_by_type) {
  using Setup = void (*)(Desk&);
  const Setup stages[] = {
      [](Desk& d) {
        auto r = prefill(key(1), prompt(8));
        r.time_left = Milliseconds{500};
        d.on(r);
      },
      [](Desk& d) {
        auto r = prefill(key(1), prompt(8), HandOffMode::pull);
        r.time_left = Milliseconds{500};
        d.on(r).finish_step();
      },
      [](Desk& d) {
        auto r = decode(key(1), prompt(8));
        r.time_left = Milliseconds{500};
        d.on(r);
      },
      [](Desk& d) {
        auto r = decode(key(1), prompt(8));
        r.time_left = Milliseconds{500};
        d.on(r).on(offer(key(1), 8));
      },
      [](Desk& d) {
        auto r = reserve(key(1), prompt(8));
        r.time_left = Milliseconds{500};
        d.on(r);
      },
  };
  for (const Setup& set_up : stages) {
    Desk desk;
    set_up(desk);
    desk.pass(Milliseconds{499});
    EXPECT_EQ(desk.failure(), std::nullopt);
    desk.pass(Milliseconds{1});
    EXPECT_EQ(desk.failure(), ErrorCode::deadline_exceeded);
    if (desk.step) desk.finish_step();
    EXPECT_TRUE(desk.core.idle());
    EXPECT_EQ(desk.used(), 0u);
  }
}

TEST(PeerDown, of_a_gateway_cancels_all_its_requests_and_no_others) {
  Desk desk;
  desk.on(prefill(key(1), prompt(8), HandOffMode::pull)).finish_step();
  PrefillRequest others = prefill(key(2), prompt(8, 50));
  others.gateway = kGatewayB;
  desk.on(others).on(decode(key(3), prompt(8))).on(offer(key(3), 8)).on(reserve(key(4), prompt(8)));
  desk.on(PeerDown{kGatewayA});
  EXPECT_THAT(desk.sent<AttemptFailed>(), IsEmpty());      // nobody is there to hear it
  EXPECT_EQ(desk.leased(), 0u);
  EXPECT_THAT(desk.all<DropTransfer>(), SizeIs(2));
  desk.finish_step({kEos});
  EXPECT_THAT(desk.tokens(), SizeIs(1));
  EXPECT_TRUE(desk.core.idle());
}

TEST(PeerDown, of_another_life_concerns_nobody) {
  Desk desk;
  desk.on(prefill(key(1), prompt(8), HandOffMode::pull)).finish_step();
  desk.on(PeerDown{{kPeer.id, Incarnation{kPeer.incarnation.value - 1}}}).on(PeerDown{{kGatewayA.id, Incarnation{99}}});
  EXPECT_EQ(desk.leased(), 2u);
}

TEST(LoadReports, come_at_the_start_on_change_at_most_every_10_ms_and_at_each_heartbeat) {
  InstanceCore core(small());
  const auto reports = [](const InstanceCommands& commands) {
    std::vector<LoadReport> found;
    for (const auto& command : commands) if (const auto* report = std::get_if<LoadReport>(&command)) found.push_back(*report);
    return found;
  };
  EXPECT_THAT(reports(core.on(Tick{}, Instant{0})), SizeIs(1));

  Desk desk;
  desk.pass(Milliseconds{50});
  desk.on(prefill(key(1), prompt(8)));
  ASSERT_THAT(desk.all<LoadReport>(), SizeIs(1));
  EXPECT_EQ(desk.all<LoadReport>()[0].running, 1u);
  EXPECT_EQ(desk.all<LoadReport>()[0].pending_prefill_tokens, 8u);
  EXPECT_EQ(desk.all<LoadReport>()[0].blocks_used, 2u);
  const std::uint64_t sequence = desk.all<LoadReport>()[0].sequence;
  desk.on(prefill(key(2), prompt(8, 50)));
  EXPECT_THAT(desk.all<LoadReport>(), IsEmpty());
  desk.pass(Milliseconds{10});
  ASSERT_THAT(desk.all<LoadReport>(), SizeIs(1));
  EXPECT_EQ(desk.all<LoadReport>()[0].waiting, 1u);
  EXPECT_EQ(desk.all<LoadReport>()[0].sequence, sequence + 1);
  desk.pass(Milliseconds{199});
  EXPECT_THAT(desk.all<LoadReport>(), IsEmpty());
  desk.pass(Milliseconds{1});
  EXPECT_THAT(desk.all<LoadReport>(), SizeIs(1));
}

TEST(LoadReports, name_partners_that_cannot_be_reached) {
  using ::testing::ElementsAre;
  const InstanceRef reborn{kPeer.id, Incarnation{kPeer.incarnation.value + 1}};
  Desk desk;
  const auto unreachable = [&] { return desk.core.load().unreachable; };
  desk.on(prefill(key(1), prompt(8)));
  EXPECT_THAT(unreachable(), IsEmpty()) << "a local one needs nobody";
  desk.on(prefill(key(2), prompt(8, 50), HandOffMode::pull));
  EXPECT_THAT(unreachable(), ElementsAre(kPeer)) << "assigned, but never connected";
  desk.on(KvLinkUp{kPeer});
  EXPECT_THAT(unreachable(), ElementsAre(kPeer)) << "the fabric alone is not enough";
  desk.on(PeerUp{kPeer}).on(PeerUp{kOther});
  EXPECT_THAT(unreachable(), IsEmpty());
  desk.on(KvLinkDown{kPeer}).on(PeerDown{kOther}).on(PeerDown{kGatewayB});
  EXPECT_THAT(unreachable(), ElementsAre(kPeer, kOther)) << "and no gateway";
  desk.on(KvLinkUp{kPeer}).on(PeerDown{kPeer});
  EXPECT_THAT(unreachable(), ElementsAre(kOther, kPeer));
  desk.on(PeerUp{reborn});
  EXPECT_THAT(unreachable(), ElementsAre(kOther));
  for (std::uint64_t id = 200; id < 300; ++id) desk.on(PeerUp{{InstanceId{id}, {}}}).on(PeerDown{{InstanceId{id}, {}}});
  EXPECT_THAT(unreachable(), SizeIs(LoadReport::kMaxUnreachable));
  EXPECT_EQ(unreachable().back().id, InstanceId{299});
}

TEST(Timers, one_is_always_set_and_late_or_early_ticks_do_no_harm) {
  Desk desk;
  ASSERT_TRUE(desk.timer);
  desk.on(prefill(key(1), prompt(8), HandOffMode::pull)).finish_step();
  desk.on(Tick{}).on(Tick{});
  EXPECT_EQ(desk.leased(), 2u);
  desk.now = desk.now + Milliseconds{100000};
  desk.on(Tick{});
  EXPECT_EQ(desk.leased(), 0u);
  EXPECT_GT(desk.timer->ns, desk.now.ns);
}

}  // namespace
}  // namespace baton::testing
