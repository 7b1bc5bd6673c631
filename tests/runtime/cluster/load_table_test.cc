// How many requests are believed to wait at an instance, between and across its reports.
#include "runtime/cluster/load_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/runtime/cluster/cluster_helpers.h"

namespace baton {
namespace {

// A mixed instance M with a queue of two. `events`, at one millisecond after the other: "a" a request is assigned, "e" the oldest
// ends, "0/1" a report of none waiting and one running, "." fifty milliseconds pass.
LoadTable::Instance after(const std::vector<std::string>& events) {
  LoadTable table;
  const InstanceRef m = instance("M"), gateway = instance("G");
  table.join({.self = m, .name = "M", .role = Role::mixed, .blocks_total = 1000}, at(0));
  Instant now = at(0);
  std::uint64_t sequence = 0, assigned = 0, ended = 0;
  for (const std::string& event : events) {
    now = now + Milliseconds{event == "." ? 50 : 1};
    if (event == "a") {
      const RequestKey request = key(++assigned, 1);
      table.assign(gateway, {.key = request, .prompt_tokens = 10, .max_output_tokens = 10, .time_left = Milliseconds{60'000}},
                   {.key = request, .prefill = m, .decode = m, .mode = HandOffMode::local}, now);
    } else if (event == "e") {
      table.ended(gateway, key(++ended, 1));
    } else if (event.size() == 3) {
      const auto digit = [&](std::size_t i) { return static_cast<std::uint32_t>(event[i] - '0'); };
      table.report({.self = m, .sequence = ++sequence, .waiting = digit(0), .running = digit(2), .queue_capacity = 2}, now);
    }
    table.check_invariants();
  }
  return table.instances()[0];
}

TEST(LoadTable, counts_a_request_once_and_a_running_one_not_as_waiting) {
  struct Case { std::vector<std::string> events; std::uint32_t waiting; bool full; };
  const std::vector<Case> cases = {
      {{"0/0"}, 0, false},
      {{"0/0", "a"}, 0, false},                                      // it runs
      {{"0/0", "a", "a"}, 1, false},
      {{"0/0", "a", "a", "a"}, 2, true},                             // one runs, two wait: all taken, and no more
      {{"0/0", "a", "0/1"}, 0, false},                               // in the report already
      {{"0/0", "a", "0/1", "a"}, 1, false},
      {{"0/0", "a", "0/1", "a", "1/1"}, 1, false},
      {{"0/0", "a", "0/1", "a", "1/1", "a"}, 2, true},
      {{"0/0", "a", "0/1", "a", "a", "2/1"}, 2, true},
      {{"0/0", "a", "a", "a", "0/1"}, 2, true},                      // two are on their way still
      {{"0/0", "a", "a", "a", "0/1", ".", "0/1"}, 0, false},         // they never came
      {{"0/0", "a", "a", "a", "2/1", ".", "2/1"}, 2, true},
      {{"0/0", "a", "a", "a", "2/1", "e", "e"}, 2, true},            // only its report says that the queue moved on
      {{"0/0", "a", "a", "a", "2/1", "e", "e", "0/1"}, 0, false},
      {{"0/0", "a", "a", "a", "e", "e"}, 0, false},
      {{"0/0", ".", "0/3", "a"}, 1, false},                          // what it ran before is none of the assigned
      {{"0/0", "a", ".", "0/1", "a", "0/2"}, 0, false},
      {{"2/3"}, 2, true},
  };
  for (const Case& c : cases) {
    std::string name;
    for (const std::string& event : c.events) name += event + " ";
    const LoadTable::Instance m = after(c.events);
    EXPECT_EQ(m.waiting(), c.waiting) << name;
    EXPECT_EQ(m.full(), c.full) << name;
  }
}

}  // namespace
}  // namespace baton
