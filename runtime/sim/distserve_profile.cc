#include "runtime/sim/distserve_profile.h"

#include <charconv>
#include <cmath>

#include "runtime/base/nearest.h"

namespace baton::sim::distserve {
namespace {

constexpr std::uint32_t kBlockTokens = 16;
constexpr double kVocabulary = 50272, kPositions = 2048;
constexpr std::uint32_t kLargestDegree = 1u << 15;          // of a tp or a pp: far above any model's heads and layers

Error refusal(std::string message) { return {ErrorCode::invalid_argument, Scope::request, std::move(message)}; }

// The speed at one tp, or which are known.
Result<const Coefficients*> speed(const Profile& profile, const Model& model, Engine engine, std::uint32_t tp) {
  std::vector<std::string> known, measured;
  for (const Coefficients& coefficients : model.coefficients[static_cast<std::size_t>(engine)]) {
    if (coefficients.tp == tp) return &coefficients;
    known.push_back(std::to_string(coefficients.tp));
  }
  if (!known.empty()) {
    return refusal(fmt::format("the speed of {} under {} is not known at tp={}: use tp={}", model.name, to_string(engine), tp,
                               fmt::join(known, " or ")));
  }
  for (const Model& other : profile.models) {
    if (!other.coefficients[static_cast<std::size_t>(engine)].empty()) measured.push_back(other.name);
  }
  return refusal(fmt::format("DistServe's authors published no speed of {}: use {}", model.name, fmt::join(measured, " or ")));
}

std::string divisors_up_to(std::uint32_t number, std::uint32_t most) {
  std::vector<std::uint32_t> divisors;
  for (std::uint32_t d = 1; d <= most; ++d) {
    if (number % d == 0) divisors.push_back(d);
  }
  return fmt::format("{}", fmt::join(divisors, ", "));
}

// Prompt tokens of an instance that can be there, or why it cannot.
Result<std::uint64_t> room(const Profile& profile, const Model& model, Parallelism parallelism) {
  const std::uint64_t tokens = max_num_tokens(profile, model, parallelism);
  if (tokens > 0) return tokens;
  const std::uint32_t most = profile.largest_degree;
  if (parallelism.tp > most || model.heads % parallelism.tp != 0) {
    return refusal(fmt::format("{} has {} heads: tp must be one of {}, not {}", model.name, model.heads,
                               divisors_up_to(model.heads, most), parallelism.tp));
  }
  if (parallelism.pp > most || model.layers % parallelism.pp != 0) {
    return refusal(fmt::format("{} has {} layers: pp must be one of {}, not {}", model.name, model.layers,
                               divisors_up_to(model.layers, most), parallelism.pp));
  }
  return refusal(fmt::format("{} as {} does not fit GPUs of {:.0f} GB: raise tp or pp", model.name, to_string(parallelism),
                             profile.gpu_memory_bytes / 1e9));
}

}  // namespace

const char* to_string(Engine engine) { return engine == Engine::vllm ? "vllm" : "distserve"; }

std::string to_string(const Parallelism& parallelism) { return fmt::format("tp={},pp={}", parallelism.tp, parallelism.pp); }

Result<Parallelism> parse_parallelism(std::string_view text, const std::string& flag) {
  const auto malformed = [&] { return refusal(fmt::format("{} \"{}\" is no parallelism: write it as tp=2,pp=1", flag, text)); };
  Parallelism parallelism;
  bool tp_given = false, pp_given = false;
  for (std::string_view rest = text;;) {
    const std::string_view part = rest.substr(0, rest.find(','));
    const bool is_tp = part.starts_with("tp="), is_pp = part.starts_with("pp=");
    if ((!is_tp && !is_pp) || (is_tp ? tp_given : pp_given)) return malformed();
    std::uint32_t degree = 0;
    const char* end = part.data() + part.size();
    const auto read = std::from_chars(part.data() + 3, end, degree);
    if (read.ec != std::errc{} || read.ptr != end || degree == 0 || degree > kLargestDegree) return malformed();
    (is_tp ? parallelism.tp : parallelism.pp) = degree;
    (is_tp ? tp_given : pp_given) = true;
    if (part.size() == rest.size()) return parallelism;
    rest.remove_prefix(part.size() + 1);
  }
}

Result<const Model*> Profile::find(const std::string& name) const {
  std::vector<std::string> known;
  for (const Model& model : models) {
    if (model.name == name) return &model;
    known.push_back(model.name);
  }
  if (name.empty()) return refusal(fmt::format("name a model with --model: {}", fmt::join(known, ", ")));
  return refusal(fmt::format("DistServe's simulator has no model \"{}\"{}", name, suggestion(name, known)));
}

std::uint64_t max_num_tokens(const Profile& profile, const Model& model, Parallelism parallelism) {
  const auto [tp, pp] = parallelism;
  if (tp > profile.largest_degree || pp > profile.largest_degree || model.heads % tp != 0 || model.layers % pp != 0) return 0;
  const double h = model.hidden, l = model.layers / pp, heads = model.heads / tp;
  const double weights = 2 * (kVocabulary * h + kPositions * h + 12 * l * h * h / tp + 5 * l * h);
  const double block = l * heads * kBlockTokens * (h / model.heads) * 2 * 2;
  const double blocks = std::floor((0.95 * profile.gpu_memory_bytes - 0.01 * profile.gpu_memory_bytes - weights) / block);
  return blocks < 1 ? 0 : kBlockTokens * static_cast<std::uint64_t>(blocks);
}

Result<Deployment> deploy(const Profile& profile, const Model& model, Engine engine, Parallelism prefill, Parallelism decode) {
  const auto prefill_room = room(profile, model, prefill);
  if (!prefill_room) return prefill_room.error();
  const auto decode_room = room(profile, model, decode);
  if (!decode_room) return decode_room.error();
  const auto prefill_speed = speed(profile, model, engine, prefill.tp);
  if (!prefill_speed) return prefill_speed.error();
  const auto decode_speed = speed(profile, model, engine, decode.tp);
  if (!decode_speed) return decode_speed.error();
  return Deployment{.engine = engine,
                    .prefill = prefill,
                    .decode = decode,
                    .prefill_cost = (*prefill_speed)->prefill,
                    .decode_small = (*decode_speed)->decode_small,
                    .decode_large = (*decode_speed)->decode_large,
                    .small_batch = profile.small_batch,
                    .prefill_tokens = *prefill_room,
                    .decode_requests = *decode_room};
}

}  // namespace baton::sim::distserve
