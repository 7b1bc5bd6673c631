#include "runtime/sim/compat/distserve_simulator.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace baton::sim::distserve {
namespace {

constexpr std::uint64_t kDecodeTokens = 50000;         // of context in a decode batch, whatever memory would hold
constexpr std::uint64_t kBackPressure = 9000000;       // tokens waiting to be decoded above which a vllm stage stops prefilling

}  // namespace

Status check_fits(const Deployment& deployment, std::span<const Lengths> requests) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto [prompt, output] = requests[i];
    if (prompt > deployment.prefill_tokens) {
      return Error{ErrorCode::invalid_argument, Scope::request,
                   fmt::format("request {} has a prompt of {} tokens; {} holds {}: give prefill more GPUs", i, prompt,
                               to_string(deployment.prefill), deployment.prefill_tokens)};
    }
    if (std::uint64_t{prompt} + output > kDecodeTokens) {
      return Error{ErrorCode::invalid_argument, Scope::request,
                   fmt::format("request {} grows to {} tokens; DistServe's simulator decodes at most {}: leave it out", i,
                               std::uint64_t{prompt} + output, kDecodeTokens)};
    }
  }
  return ok();
}

Simulator::Simulator(const Deployment& deployment) : deployment_(deployment) {
  add_chain(deployment.prefill.pp);
  if (deployment.engine == Engine::vllm) return;
  decode_head_ = static_cast<std::uint32_t>(stages_.size());
  add_chain(deployment.decode.pp);
}

void Simulator::add_chain(std::uint32_t stages) {
  const auto head = static_cast<std::uint32_t>(stages_.size());
  for (std::uint32_t i = 0; i < stages; ++i) {
    Stage& stage = stages_.emplace_back();
    stage.first = i == 0;
    stage.last = i + 1 == stages;
    stage.next = stage.last ? head : head + i + 1;
  }
}

void Simulator::reset(std::span<const Lengths> requests) {
  for (Stage& stage : stages_) {
    stage.prefill.clear();
    stage.decode.clear();
    stage.decode_context = 0;
    stage.idle = true;
    stage.woken = false;
  }
  progress_.resize(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) progress_[i] = {requests[i].prompt, requests[i].output};
  batch_of_.assign(requests.size(), 0);
  first_token_.assign(requests.size(), 0);
  end_.assign(requests.size(), 0);
  ends_.clear();
  wakes_.clear();
  batches_ = 0;
  now_ = 0;
}

const std::vector<Latency>& Simulator::run(std::span<const Lengths> requests, std::span<const double> arrivals) {
  CHECK(requests.size() == arrivals.size(), "{} requests, {} arrivals", requests.size(), arrivals.size());
  reset(requests);
  play(arrivals);
  latencies_.resize(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    latencies_[i] = {first_token_[i] - arrivals[i], end_[i] - first_token_[i], end_[i] - arrivals[i]};
  }
  return latencies_;
}

// Of what happens at one time, arrivals come first, then ends of batches in the order they were started, then those who were woken.
void Simulator::play(std::span<const double> arrivals) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  std::uint32_t arrived = 0;
  for (;;) {
    const double arrival = arrived < arrivals.size() ? arrivals[arrived] : kNever;
    const double end = ends_.empty() ? kNever : ends_.front().at;
    if (!wakes_.empty() && std::min(arrival, end) > now_) {
      const std::uint32_t stage = wakes_.front();
      wakes_.pop();
      stages_[stage].woken = false;
      start_batch(stage);
    } else if (end < arrival) {
      std::pop_heap(ends_.begin(), ends_.end(), std::greater{});
      const std::uint32_t stage = ends_.back().stage;
      ends_.pop_back();
      now_ = end;
      stages_[stage].batch_is_prefill ? finish_prefill(stages_[stage]) : finish_decode(stages_[stage]);
      start_batch(stage);
    } else if (arrival < kNever) {
      now_ = arrival;
      add_prefill(0, arrived++);
    } else {
      return;
    }
  }
}

void Simulator::add_prefill(std::uint32_t stage, std::uint32_t request) {
  stages_[stage].prefill.push(request);
  wake(stage);
}

void Simulator::wake(std::uint32_t stage) {
  if (!stages_[stage].idle || stages_[stage].woken) return;
  stages_[stage].woken = true;
  wakes_.push(stage);
}

void Simulator::start_batch(std::uint32_t number) {
  Stage& stage = stages_[number];
  stage.idle = stage.prefill.empty() && stage.decode.empty();
  if (stage.idle) return;
  stage.batch.clear();
  stage.batch_is_prefill = !stage.prefill.empty() && stage.decode_context <= kBackPressure;
  const double takes = stage.batch_is_prefill ? start_prefill(stage) : start_decode(stage);
  ends_.push_back({now_ + takes, ++batches_, number});
  std::push_heap(ends_.begin(), ends_.end(), std::greater{});
}

double Simulator::start_prefill(Stage& stage) {
  const std::uint64_t upstream = batch_of_[stage.prefill.front()];
  std::uint64_t tokens = 0, squares = 0;
  for (; !stage.prefill.empty(); stage.prefill.pop()) {
    const std::uint32_t request = stage.prefill.front();
    const std::uint64_t prompt = progress_[request].context;
    if (stage.first ? tokens + prompt > deployment_.prefill_tokens : batch_of_[request] != upstream) break;
    if (stage.first) batch_of_[request] = batches_ + 1;
    tokens += prompt;
    squares += prompt * prompt;
    stage.batch.push_back(request);
  }
  const double whole = iteration_ms(deployment_.prefill_cost, static_cast<double>(tokens), static_cast<double>(squares));
  const double takes = whole * (1.0 / deployment_.prefill.pp) + deployment_.prefill.pp;
  return stage.first ? takes + control_ms(tokens) : takes;
}

double Simulator::start_decode(Stage& stage) {
  const std::size_t most = std::min<std::size_t>(deployment_.decode_requests, stage.decode.size());
  std::uint64_t context = 0;
  while (stage.batch.size() < most) {
    const std::uint32_t request = stage.decode.front();
    const std::uint64_t more = progress_[request].context;
    if (context + more + stage.batch.size() + 1 > kDecodeTokens) break;        // each is counted with its new token
    context += more;
    stage.batch.push_back(request);
    stage.decode.pop();
  }
  stage.decode_context -= context;
  const std::size_t requests = stage.batch.size();
  const Cost& cost = requests < deployment_.small_batch ? deployment_.decode_small : deployment_.decode_large;
  const double whole = iteration_ms(cost, static_cast<double>(context + requests), static_cast<double>(requests));
  const double takes = whole * (1.0 / deployment_.decode.pp);
  return stage.first ? takes + control_ms(context) : takes;
}

void Simulator::finish_prefill(const Stage& stage) {
  Stage& decode = stages_[decode_head_];
  for (const std::uint32_t request : stage.batch) {
    if (!stage.last) {
      add_prefill(stage.next, request);
      continue;
    }
    first_token_[request] = now_;
    if (progress_[request].left == 0) {
      end_[request] = now_;
      continue;
    }
    decode.decode.push(request);
    decode.decode_context += progress_[request].context;
    wake(decode_head_);
  }
}

void Simulator::finish_decode(const Stage& stage) {
  Stage& next = stages_[stage.next];
  const std::size_t waiting = next.decode.size();
  for (const std::uint32_t request : stage.batch) {
    Progress& progress = progress_[request];
    if (stage.last) {
      ++progress.context;
      if (--progress.left == 0) {
        end_[request] = now_;
        continue;
      }
    }
    next.decode.push(request);
    next.decode_context += progress.context;
  }
  if (next.decode.size() > waiting) wake(stage.next);
}

}  // namespace baton::sim::distserve
