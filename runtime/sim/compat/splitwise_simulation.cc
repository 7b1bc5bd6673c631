#include "runtime/sim/compat/splitwise_simulation.h"

#include <deque>
#include <limits>
#include <unordered_set>

#include <spdlog/fmt/fmt.h>

#include "runtime/sim/compat/splitwise_limits.h"
#include "runtime/sim/compat/splitwise_machine.h"
#include "runtime/sim/compat/splitwise_scheduler.h"

namespace baton::sim::splitwise {
namespace {

std::vector<Machine*> pointers_to(std::deque<Machine>& machines) {
  std::vector<Machine*> pointers;
  for (Machine& machine : machines) pointers.push_back(&machine);
  return pointers;
}

std::deque<Machine> start_machines(const Cluster& cluster, World& world) {
  std::deque<Machine> machines;
  for (std::uint32_t number = 0; number < cluster.machines.size(); ++number) machines.emplace_back(number, cluster, world);
  return machines;
}

class Simulation {
 public:
  Simulation(const Cluster& cluster, const Trace& trace)
      : cluster_(cluster), machines_(start_machines(cluster, world_)), scheduler_(cluster.policy, pointers_to(machines_)) {
    world_.tasks.reserve(2 * trace.size());
    world_.requests.reserve(trace.size());
    world_.events.reserve(2 * trace.size());
    for (const TraceRequest& request : trace) add(request);
  }

  Outcome run() {
    while (!world_.events.empty() && world_.now < kEndSeconds && !stuck()) {
      const Event event = world_.events.pop();
      if (event.kind == EventKind::iteration_end && !machines_[event.target].expects(event.serial)) continue;
      world_.now = event.time;
      if (event.kind != EventKind::transfer_retry) {
        --world_.pending_work;
        failed_retries_ = 0;
      }
      on(event);
    }
    return result();
  }

 private:
  void add(const TraceRequest& request) {
    const std::int64_t kv = cluster_.model.kv_bytes_per_token;
    const auto number = static_cast<RequestIndex>(world_.requests.size());
    world_.requests.push_back({.arrival = request.arrival_s});
    const std::int64_t prompt_tokens = request.prompt_tokens;
    const std::int64_t later_tokens = std::int64_t{request.output_tokens} - 1;
    world_.tasks.push_back({.memory = kv * (prompt_tokens + 1), .tokens = request.prompt_tokens, .iterations = 1});
    world_.tasks.push_back({.memory = kv * later_tokens, .tokens = 1, .iterations = static_cast<double>(later_tokens)});
    world_.schedule(request.arrival_s, EventKind::arrival, number);
  }

  void on(const Event& event) {
    switch (event.kind) {
      case EventKind::arrival: return arrive(event.target);
      case EventKind::iteration_end: return end_iteration(machines_[event.target]);
      case EventKind::transfer_end: return end_transfer(event.target);
      case EventKind::transfer_retry: return try_transfer(event.target);
    }
  }

  void arrive(RequestIndex number) {
    RequestState& request = world_.requests[number];
    const Task& prompt = world_.tasks[prompt_of(number)];
    const auto placement = scheduler_.place(prompt.tokens, prompt.memory, world_.tasks[tokens_of(number)].memory);
    request.prompt_machine = placement.prompt->number();
    request.token_machine = placement.token->number();
    request.placed = true;
    placement.prompt->arrive(prompt_of(number));
    if (placement.prompt == placement.token) placement.token->arrive(tokens_of(number));
  }

  void end_iteration(Machine& machine) {
    for (const TaskIndex task : machine.end_iteration()) {
      const RequestState& request = world_.requests[request_of(task)];
      if (!is_prompt(task) || request.prompt_machine == request.token_machine) continue;
      ++waiting_transfers_;
      try_transfer(request_of(task));
    }
    if (machine.start_iteration()) scheduler_.on_idle(machine);
  }

  // KV(P + 1) is taken at the receiver, but KV(P) takes the time: the first token's is not sent.
  void try_transfer(RequestIndex number) {
    const RequestState& request = world_.requests[number];
    Machine& receiver = machines_[request.token_machine];
    if (!receiver.fits(request.memory)) {
      ++failed_retries_;
      return world_.schedule(kRetrySeconds, EventKind::transfer_retry, number);
    }
    receiver.take(request.memory);
    --waiting_transfers_;
    failed_retries_ = 0;
    ++transfers_;
    const auto bytes = static_cast<double>(cluster_.model.kv_bytes_per_token * world_.tasks[prompt_of(number)].tokens);
    world_.schedule(bytes / cluster_.transfer_bytes_per_s, EventKind::transfer_end, number);
  }

  void end_transfer(RequestIndex number) {
    const RequestState& request = world_.requests[number];
    Machine& sender = machines_[request.prompt_machine];
    sender.release(request.memory);
    machines_[request.token_machine].arrive(tokens_of(number));
    sender.on_transfer_left();
  }

  // Nothing is left but transfers that have all found no room since anything last changed: so it would go on until the clock stops.
  bool stuck() const { return world_.pending_work == 0 && failed_retries_ >= waiting_transfers_ + 1; }

  Outcome result() const {
    Outcome run;
    run.end_s = world_.now;
    run.transfers = transfers_;
    run.requests.reserve(world_.requests.size());
    for (const RequestState& request : world_.requests) {
      Served served{.placed = request.placed, .has_first_token = request.prompt_end >= 0, .completed = request.end >= 0};
      served.ttft_s = request.prompt_end - request.arrival;
      served.e2e_s = request.end - request.arrival;
      served.prompt_machine = request.prompt_machine;
      served.token_machine = request.token_machine;
      run.requests.push_back(served);
    }
    return run;
  }

  const Cluster& cluster_;
  World world_;
  std::deque<Machine> machines_;           // stay where they are: machines and the scheduler point at each other
  Scheduler scheduler_;
  std::uint64_t transfers_ = 0;
  std::uint64_t waiting_transfers_ = 0;    // for room
  std::uint64_t failed_retries_ = 0;       // since something else happened
};

Status check(const Trace& trace) {
  std::unordered_set<std::string> ids;
  double before = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const TraceRequest& request = trace[i];
    const auto refused = [&](const std::string& why) {
      const std::string message = fmt::format("request {} ({} of the trace) {}", request.id, i + 1, why);
      return Error{ErrorCode::invalid_argument, Scope::request, message, "trace"};
    };
    if (!(request.arrival_s > 0) || request.arrival_s > std::numeric_limits<double>::max()) {
      return refused(fmt::format("arrives at {} s, but SplitwiseSim takes only arrivals after 0: shift the trace by a second",
                                 request.arrival_s));
    }
    if (request.arrival_s < before) {
      return refused(fmt::format("arrives at {} s, before the one above it ({} s): sort the trace by arrival", request.arrival_s, before));
    }
    if (request.prompt_tokens == 0) return refused("has no prompt tokens; at least 1");
    if (request.output_tokens < 2) {
      return refused(fmt::format("has {} output tokens, but SplitwiseSim needs at least 2: the prompt phase makes the first",
                                 request.output_tokens));
    }
    if (!ids.insert(request.id).second) return refused("has the id of a request above it");
    before = request.arrival_s;
  }
  return ok();
}

}  // namespace

Result<Outcome> simulate(const Cluster& cluster, const Trace& trace) {
  if (const Status checked = check(trace); !checked) return checked.error();
  return Simulation{cluster, trace}.run();
}

std::vector<RequestRecord> to_records(const Cluster& cluster, const Trace& trace, const Outcome& run) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::vector<RequestRecord> records;
  records.reserve(trace.size());
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const Served& served = run.requests[i];
    RequestRecord record{.id = trace[i].id, .arrival_s = trace[i].arrival_s};
    record.prompt_tokens = trace[i].prompt_tokens;
    record.output_tokens = trace[i].output_tokens;
    record.ttft_ms = served.has_first_token ? served.ttft_s * 1000 : kNone;
    record.e2e_ms = served.completed ? served.e2e_s * 1000 : kNone;
    record.tpot_ms = served.completed ? (served.e2e_s - served.ttft_s) / trace[i].output_tokens * 1000 : kNone;
    if (served.placed) {
      record.prefill_instance = cluster.machines[served.prompt_machine].name;
      record.decode_instance = cluster.machines[served.token_machine].name;
    }
    record.outcome = served.completed ? "completed" : "unfinished";
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace baton::sim::splitwise
