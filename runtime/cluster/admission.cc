#include "runtime/cluster/admission.h"

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/base/nearest.h"

namespace baton {
namespace {

constexpr double kLongestForecast = 1e6;       // seconds: what is worse is as bad

std::int64_t milliseconds(Duration time) { return std::chrono::duration_cast<Milliseconds>(time).count(); }

class AdmitAll final : public AdmissionPolicy {
 public:
  std::optional<Refusal> refuse(const AdmissionQuestion&) override { return std::nullopt; }
};

class AdmitByDeadline final : public AdmissionPolicy {
 public:
  std::optional<Refusal> refuse(const AdmissionQuestion& question) override {
    const auto& first = question.forecast.first_token;
    if (!first || *first <= question.time_left) return std::nullopt;
    return Refusal{fmt::format("the first token would come in about {} ms, and the deadline is in {} ms", milliseconds(*first),
                               milliseconds(question.time_left)),
                   *first - question.time_left};
  }
};

class RejectEarly final : public AdmissionPolicy {
 public:
  explicit RejectEarly(const AdmissionOptions& options) : options_(options) {}

  std::optional<Refusal> refuse(const AdmissionQuestion& question) override {
    const auto& [first, gap] = question.forecast;
    if (first && *first > options_.slo_ttft) {
      return Refusal{fmt::format("the first token would come in about {} ms, more than the {} ms of slo_ttft_ms", milliseconds(*first),
                                 milliseconds(options_.slo_ttft)),
                     *first - options_.slo_ttft};
    }
    if (gap && *gap > options_.slo_itl) {
      return Refusal{fmt::format("tokens come every {} ms, more than the {} ms of slo_itl_ms", milliseconds(*gap),
                                 milliseconds(options_.slo_itl)),
                     {}};
    }
    return std::nullopt;
  }

 private:
  AdmissionOptions options_;
};

using AdmissionRegistry = std::map<std::string, AdmissionFactory, std::less<>>;

AdmissionRegistry& admission_registry() {
  static AdmissionRegistry all = {
      {"none", [](const AdmissionOptions&) { return std::make_unique<AdmitAll>(); }},
      {"deadline", [](const AdmissionOptions&) { return std::make_unique<AdmitByDeadline>(); }},
      {"early_rejection", [](const AdmissionOptions& options) { return std::make_unique<RejectEarly>(options); }}};
  return all;
}

}  // namespace

Forecast forecast(std::uint64_t pending_tokens, std::uint32_t prompt_tokens, const LoadReport& prefill, const LoadReport& decode) {
  Forecast known;
  if (prefill.prefill_tokens_per_s > 0) {
    const double seconds = static_cast<double>(pending_tokens + prompt_tokens) / static_cast<double>(prefill.prefill_tokens_per_s);
    known.first_token = std::chrono::microseconds{static_cast<std::int64_t>(std::min(seconds, kLongestForecast) * 1e6)};
  }
  if (decode.decode_step_us > 0) known.token_gap = std::chrono::microseconds{decode.decode_step_us};
  return known;
}

Status register_admission(const std::string& name, AdmissionFactory factory) {
  if (name.empty()) return Error{ErrorCode::invalid_argument, Scope::cluster, "an admission policy needs a name"};
  if (!admission_registry().emplace(name, std::move(factory)).second) {
    return Error{ErrorCode::invalid_argument, Scope::cluster, fmt::format("an admission policy named {} is registered already", name)};
  }
  return ok();
}

Result<std::unique_ptr<AdmissionPolicy>> make_admission(std::string_view name, const AdmissionOptions& options) {
  const auto place = admission_registry().find(name);
  if (place != admission_registry().end()) return place->second(options);
  return Error{ErrorCode::invalid_config, Scope::cluster,
               fmt::format("unknown admission policy \"{}\"{}", name, suggestion(name, admission_names())), "scheduler.admission"};
}

std::vector<std::string> admission_names() {
  std::vector<std::string> names;
  for (const auto& [name, factory] : admission_registry()) names.push_back(name);
  return names;
}

}  // namespace baton
