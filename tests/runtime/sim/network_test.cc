// Shares of links and ends of transfers, worked out by hand. Bytes and bytes a second are small numbers here.
#include "runtime/sim/network.h"

#include <gmock/gmock.h>

#include "runtime/sim/event_queue.h"

namespace baton::test {
namespace {

using namespace sim;
using ::testing::ElementsAre;

constexpr Instant second(std::int64_t s) { return {s * 1'000'000'000}; }

std::vector<Network::Link> equal_links(std::size_t count, double rate) { return std::vector<Network::Link>(count, {rate, rate}); }

TEST(Network, shares_links_by_max_min_fairness) {
  struct Case {
    const char* name;
    std::vector<Network::Link> links;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> flows;
    std::vector<double> rates;
  };
  const std::vector<Case> cases = {
      {"alone", equal_links(2, 10), {{0, 1}}, {10}},
      {"two out of one", equal_links(3, 10), {{0, 1}, {0, 2}}, {5, 5}},
      {"two into one", equal_links(3, 10), {{0, 2}, {1, 2}}, {5, 5}},
      {"both ways do not meet", equal_links(2, 10), {{0, 1}, {1, 0}}, {10, 10}},
      {"what one cannot use the other gets", equal_links(5, 12), {{0, 3}, {1, 3}, {2, 3}, {0, 4}}, {4, 4, 4, 8}},
      {"a slow receiver", {{10, 10}, {10, 10}, {10, 2}}, {{0, 1}, {0, 2}}, {8, 2}},
      {"a slow sender", {{3, 10}, {10, 10}, {10, 10}}, {{0, 2}, {1, 2}}, {3, 7}},
      {"two of one pair", equal_links(3, 12), {{0, 1}, {0, 1}, {0, 2}}, {4, 4, 4}},
      {"a chain", equal_links(4, 10), {{0, 1}, {0, 2}, {3, 2}, {3, 1}}, {5, 5, 5, 5}},
  };
  for (const Case& c : cases) {
    Network network(c.links);
    for (std::size_t i = 0; i < c.flows.size(); ++i) network.start(i, c.flows[i].first, c.flows[i].second, 100, second(0));
    for (std::size_t i = 0; i < c.flows.size(); ++i) EXPECT_EQ(network.rate(i), c.rates[i]) << c.name << ", flow " << i;
  }
}

TEST(Network, works_shares_out_anew_when_a_transfer_starts_or_ends) {
  Network network(equal_links(3, 10));
  network.start(1, 0, 2, 100, second(0));
  EXPECT_EQ(network.next_end(), second(10));
  network.start(2, 1, 2, 20, second(4));                 // 60 of the first left; 5 each from now on
  EXPECT_EQ(network.next_end(), second(8));
  EXPECT_THAT(network.take_ended(second(8)), ElementsAre(2));
  EXPECT_EQ(network.next_end(), second(12));             // 40 left, alone again
  EXPECT_THAT(network.take_ended(second(11)), ElementsAre());
  EXPECT_THAT(network.take_ended(second(12)), ElementsAre(1));
  EXPECT_EQ(network.next_end(), std::nullopt);
  EXPECT_EQ(network.bytes_moved(), 120);
}

TEST(Network, gives_the_share_of_a_cancelled_transfer_to_the_others) {
  Network network(equal_links(3, 10));
  network.start(1, 0, 2, 100, second(0));
  network.start(2, 1, 2, 100, second(0));
  network.cancel(2, second(2));
  network.cancel(7, second(2));
  EXPECT_EQ(network.next_end(), second(11));             // 10 moved by then at 5, 90 to go at 10
  EXPECT_EQ(network.under_way(), 1u);
  EXPECT_EQ(network.bytes_moved(), 20);
}

TEST(Network, ends_equal_transfers_together_in_the_order_of_their_start) {
  Network network(equal_links(3, 8));
  network.start(9, 0, 2, 40, second(1));
  network.start(3, 1, 2, 40, second(1));
  EXPECT_THAT(network.take_ended(second(11)), ElementsAre(9, 3));
  EXPECT_EQ(network.under_way(), 0u);
}

TEST(Network, lets_a_transfer_of_nothing_end_at_once) {
  Network network(equal_links(2, 8));
  network.start(1, 0, 1, 0, second(5));
  EXPECT_EQ(network.next_end(), second(5));
  EXPECT_THAT(network.take_ended(second(5)), ElementsAre(1));
}

TEST(EventQueue, gives_events_by_time_and_equal_ones_in_the_order_of_entry) {
  EventQueue<char> queue;
  for (const auto& [at, name] : {std::pair{3, 'd'}, {1, 'a'}, {2, 'b'}, {2, 'c'}, {3, 'e'}}) queue.add(second(at), name);
  std::string order;
  EXPECT_EQ(queue.next(), second(1));
  while (!queue.empty()) order += queue.take().event;
  EXPECT_EQ(order, "abcde");
}

}  // namespace
}  // namespace baton::test
