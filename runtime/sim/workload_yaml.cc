// Workload files.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "runtime/base/nearest.h"
#include "runtime/config/config_reader.h"
#include "runtime/model/mapped_file.h"
#include "runtime/sim/embedded.h"
#include "runtime/sim/trace_formats.h"
#include "runtime/sim/workload.h"

namespace baton::sim {
namespace {

constexpr std::uint64_t kLongestFile = 4u << 20;
constexpr std::uint32_t kMostTokens = 10'000'000;          // of one length; a context is far below
constexpr double kMostSeconds = 1e6;
constexpr const char* kNames[] = {"azure_code",         "azure_conv", "humaneval", "longbench", "mooncake_conversation",
                                  "mooncake_synthetic", "sharegpt"};

std::optional<double> number_at(const YAML::Node& list, std::size_t index) {
  double value = 0;
  const std::string word = list[index].IsScalar() ? list[index].Scalar() : "";
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || !(value >= 0 && value <= kMostTokens)) return std::nullopt;
  return value;
}

// The numbers of a list of two; nothing for anything else.
std::optional<std::pair<double, double>> pair_of(const YAML::Node& node) {
  if (!node.IsSequence() || node.size() != 2) return std::nullopt;
  const auto first = number_at(node, 0), second = number_at(node, 1);
  if (!first || !second) return std::nullopt;
  return std::pair{*first, *second};
}

class WorkloadReader {
 public:
  WorkloadReader(ConfigErrors& errors, std::string folder) : errors_(errors), folder_(std::move(folder)) {}

  void read(const YAML::Node& root, Workload& workload) {
    ConfigReader top{errors_, root, ""};
    top.text("source", workload.source, "");
    top.number("rate", workload.rate, workload.rate, 1e-6, 1e9);
    read_arrivals(top.child("arrivals"), workload.arrivals);
    const YAML::Node lengths = top.child("lengths"), sessions = top.child("sessions");
    top.finish();
    if (lengths.IsDefined() == sessions.IsDefined()) top.refuse("lengths", "or sessions, one of the two, says how long requests are");
    if (lengths.IsDefined()) read_lengths(lengths, workload.lengths);
    if (sessions.IsDefined()) read_sessions(sessions, workload);
    if (sessions.IsDefined() && workload.arrivals.process == Arrivals::Process::closed_loop) {
      top.refuse("arrivals", "closed_loop has no times, which sessions need; choose another process");
    }
  }

 private:
  void read_arrivals(const YAML::Node& node, Arrivals& arrivals) {
    using enum Arrivals::Process;
    ConfigReader reader{errors_, node, "arrivals"};
    reader.choice("process", arrivals.process, arrivals.process,
                  {{"poisson", poisson}, {"gamma", gamma}, {"on_off", on_off}, {"fixed", fixed}, {"closed_loop", closed_loop}});
    only_for(reader, arrivals.process == gamma, "is for gamma arrivals");
    reader.number("cv", arrivals.cv, arrivals.cv, 0.01, 100.0);
    only_for(reader, arrivals.process == on_off, "is for on_off arrivals");
    reader.number("on_s", arrivals.on_s, arrivals.on_s, 1e-3, kMostSeconds);
    reader.number("off_s", arrivals.off_s, arrivals.off_s, 0.0, kMostSeconds);
    only_for(reader, arrivals.process == closed_loop, "is for closed_loop arrivals");
    reader.number("clients", arrivals.clients, arrivals.clients, 1, 10'000'000);
    reader.number("think_s", arrivals.think_s, arrivals.think_s, 0.0, kMostSeconds);
    only_for(reader, true, "");
    reader.finish();
  }
  static void only_for(ConfigReader& reader, bool here, const char* reason) { reader.only_elsewhere(here ? "" : reason); }

  void read_lengths(const YAML::Node& node, Lengths& lengths) {
    ConfigReader reader{errors_, node, "lengths"};
    std::string trace_file;
    reader.text("from_trace", trace_file, "");
    if (!trace_file.empty()) {
      read_observed(reader, trace_file, lengths);
    } else {
      read_distribution(reader, "prompt", lengths.prompt);
      read_distribution(reader, "output", lengths.output);
      reader.number("most_total", lengths.most_total, lengths.most_total, 2, kMostTokens);
      if (lengths.most_total == 0) reader.only_elsewhere("says what happens above most_total, which is not there");
      reader.choice("over_total", lengths.over_total, lengths.over_total,
                    {{"draw_again", Lengths::OverTotal::draw_again}, {"shorten_prompt", Lengths::OverTotal::shorten_prompt}});
      reader.only_elsewhere("");
    }
    reader.finish();
  }

  void read_observed(ConfigReader& reader, const std::string& file, Lengths& lengths) {
    const std::filesystem::path path = std::filesystem::path(folder_) / file;
    const auto trace = load_trace(path.string());
    if (!trace) return reader.refuse("from_trace", trace.error().message);
    for (const TraceRequest& request : *trace) lengths.observed.emplace_back(request.prompt_tokens, request.output_tokens);
  }

  void read_sessions(const YAML::Node& node, Workload& workload) {
    ConfigReader reader{errors_, node, "sessions"};
    reader.number("block_tokens", workload.block_tokens, workload.block_tokens, 16, 65536);
    const YAML::Node kinds = reader.child("kinds");
    if (!kinds.IsDefined() || !kinds.IsSequence() || kinds.size() == 0) {
      reader.refuse("kinds", "must list kinds of sessions, at least one");
    } else {
      for (std::size_t i = 0; i < kinds.size(); ++i) {
        read_kind(kinds[i], fmt::format("sessions.kinds[{}]", i), workload.sessions.emplace_back());
      }
    }
    reader.finish();
  }

  void read_kind(const YAML::Node& node, const std::string& path, SessionKind& kind) {
    ConfigReader reader{errors_, node, path};
    reader.number("share", kind.share, kind.share, 1e-6, 1e6);
    reader.number("system_tokens", kind.system_tokens, kind.system_tokens, 0, kMostTokens);
    reader.number("system_prompts", kind.system_prompts, kind.system_prompts, 1, 1'000'000);
    reader.number("zipf", kind.zipf, kind.zipf, 0.0, 10.0);
    reader.number("turns", kind.turns, kind.turns, 1.0, 1e6);
    reader.number("think_s", kind.think_s, kind.think_s, 0.0, kMostSeconds);
    read_distribution(reader, "first", kind.first);
    read_distribution(reader, "output", kind.output);
    if (kind.turns > 1 || reader.has("later")) read_distribution(reader, "later", kind.later);
    kind.most_prompt = kMostTokens;
    reader.number("most_prompt", kind.most_prompt, kind.most_prompt, 1, kMostTokens);
    reader.finish();
  }

  void read_distribution(ConfigReader& parent, const char* key, LengthDistribution& d) {
    const YAML::Node node = parent.child(key);
    ConfigReader reader{errors_, node, parent.path_of(key)};
    int forms = 0;
    for (const char* form : {"constant", "uniform", "quantiles", "lognormal"}) forms += reader.has(form);
    if (forms != 1) {
      return parent.refuse(key, "must be one of {constant: N}, {uniform: [A, B]}, {quantiles: [[0, A], ..., [1, B]]}, "
                                "{lognormal: {median: M, sigma: S}}");
    }
    d.most = kMostTokens;
    if (reader.has("constant")) {
      reader.number("constant", d.least, d.least, 1, kMostTokens);
      d.most = d.least;
    } else if (reader.has("uniform")) {
      read_uniform(reader, d);
    } else if (reader.has("quantiles")) {
      read_quantiles(reader, d);
    } else {
      d.kind = LengthDistribution::Kind::lognormal;
      ConfigReader shape{errors_, reader.child("lognormal"), reader.path_of("lognormal")};
      if (!shape.has("median") || !shape.has("sigma")) reader.refuse("lognormal", "needs a median and a sigma");
      shape.number("median", d.median, d.median, 1.0, 1e7);
      shape.number("sigma", d.sigma, d.sigma, 0.0, 10.0);
      shape.number("least", d.least, d.least, 1, kMostTokens);
      shape.number("most", d.most, d.most, d.least, kMostTokens);
      shape.finish();
    }
    reader.finish();
  }

  void read_uniform(ConfigReader& reader, LengthDistribution& d) {
    const auto bounds = pair_of(reader.child("uniform"));
    if (!bounds || bounds->first < 1 || bounds->first > bounds->second) {
      return reader.refuse("uniform", fmt::format("must be the least and the most, such as [1, 1000], from 1 to {}", kMostTokens));
    }
    d.least = static_cast<std::uint32_t>(bounds->first);
    d.most = static_cast<std::uint32_t>(bounds->second);
  }

  void read_quantiles(ConfigReader& reader, LengthDistribution& d) {
    d.kind = LengthDistribution::Kind::quantiles;
    const YAML::Node rows = reader.child("quantiles");
    bool sound = rows.IsSequence() && rows.size() >= 2;
    for (std::size_t i = 0; sound && i < rows.size(); ++i) {
      const auto row = pair_of(rows[i]);
      sound = row && (i == 0 ? row->first == 0 : row->first > d.table.back().share && row->second >= d.table.back().tokens);
      if (sound) d.table.push_back({row->first, row->second});
    }
    if (!sound || d.table.back().share != 1) {
      reader.refuse("quantiles", "must list [share, tokens], both ascending, the first share 0 and the last 1");
    }
  }

  ConfigErrors& errors_;
  std::string folder_;
};

bool is_path(const std::string& name) { return name.find_first_of("/.") != std::string::npos; }

}  // namespace

std::vector<std::string> workload_names() { return {std::begin(kNames), std::end(kNames)}; }

Result<Workload> parse_workload(std::string_view text, const std::string& name, const std::string& folder) {
  Workload workload{.name = std::filesystem::path(name).stem().string()};
  ConfigErrors errors{.file = name, .first = std::nullopt};
  try {
    const YAML::Node root = YAML::Load(std::string{text});
    if (!root.IsMap()) errors.add(root.Mark(), "", "must be a mapping; configs/workloads/ has examples");
    if (!errors.first) WorkloadReader(errors, folder).read(root, workload);
  } catch (const YAML::Exception& e) {
    errors.add(e.mark, "", fmt::format("not YAML: {}", e.msg));
  }
  if (errors.first) return *errors.first;
  return workload;
}

Result<Workload> load_workload(const std::string& name_or_path) {
  const std::vector<std::string> names = workload_names();
  if (std::ranges::find(names, name_or_path) != names.end()) {
    const std::string file = fmt::format("workloads/{}.yaml", name_or_path);
    return parse_workload(embedded(file), "configs/" + file, "");
  }
  if (!is_path(name_or_path)) {
    return Error{ErrorCode::not_found, Scope::request,
                 fmt::format("no workload is named {}{}; or name a file of your own", shown(name_or_path),
                             suggestion(name_or_path, names))};
  }
  const auto text = read_small_file(name_or_path, kLongestFile);
  if (!text) return text.error();
  return parse_workload(*text, name_or_path, std::filesystem::path(name_or_path).parent_path().string());
}

}  // namespace baton::sim
