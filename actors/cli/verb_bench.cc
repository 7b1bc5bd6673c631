#include <unistd.h>

#include <cstdio>
#include <memory>
#include <regex>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/cli/load_report.h"
#include "actors/cli/verbs.h"
#include "actors/descriptor_limit.h"
#include "runtime/base/ids.h"

namespace baton::cli {
namespace {

struct BenchFlags {
  std::string url = "http://127.0.0.1:8000";
  std::uint32_t requests = 100;
  std::uint32_t concurrency = 4;
  double rate = 0;
  std::uint32_t prompt_tokens = 512;
  std::uint32_t output_tokens = 64;
  double temperature = 0;
  std::uint64_t seed = 1;
  Slo slo;
  bool json = false;
};

// Text to cut prompts from; every request starts elsewhere in it, so that none is the prefix of another.
constexpr const char* kText =
    "In the morning the harbour was quiet and the boats lay still on the water. A clerk counted the crates on the quay, wrote each "
    "number in a narrow book, and compared it with the list that the captain had left the night before. Three were missing. He asked "
    "the porter, who had seen nothing; the porter asked the guard, who had heard a cart at two o'clock and thought nothing of it, "
    "since carts came at every hour. ";

Result<std::vector<TokenId>> text_tokens(const std::string& host, const std::string& port, std::size_t at_least) {
  std::string text;
  while (text.size() < at_least * 8) text += kText;
  const auto answer = http_call(host, port, "POST", "/tokenize",
                                nlohmann::json{{"prompt", text}, {"add_special_tokens", false}}.dump(), 30);
  if (!answer) return answer.error();
  const auto body = nlohmann::json::parse(answer->body, nullptr, false);
  if (answer->status != 200 || !body.is_object() || !body.contains("tokens")) {
    return Error{ErrorCode::unsupported, Scope::peer,
                 fmt::format("the server answered /tokenize with {}: {}", answer->status, answer->body.substr(0, 200))};
  }
  return body["tokens"].get<std::vector<TokenId>>();
}

std::vector<std::string> make_bodies(const BenchFlags& flags, const std::vector<TokenId>& tokens) {
  std::vector<std::string> bodies;
  for (std::uint32_t i = 0; i < flags.requests; ++i) {
    std::vector<TokenId> prompt;
    const std::size_t start = (std::size_t{i} * 7919) % tokens.size();
    for (std::uint32_t k = 0; k < flags.prompt_tokens; ++k) prompt.push_back(tokens[(start + k) % tokens.size()]);
    bodies.push_back(nlohmann::json{{"prompt", prompt}, {"max_tokens", flags.output_tokens}, {"ignore_eos", true}, {"stream", true},
                                    {"temperature", flags.temperature}, {"seed", flags.seed + i}}.dump());
  }
  return bodies;
}

int bench(const BenchFlags& flags) {
  raise_descriptor_limit();
  std::smatch parts;
  if (!std::regex_match(flags.url, parts, std::regex(R"(http://([^:/]+)(?::(\d+))?/?)"))) {
    return report({ErrorCode::invalid_argument, Scope::request, fmt::format("--url {} is no http://HOST:PORT", flags.url)});
  }
  LoadPlan plan;
  plan.host = parts[1];
  plan.port = parts[2].matched ? std::string(parts[2]) : "80";
  const auto tokens = text_tokens(plan.host, plan.port, flags.prompt_tokens);
  if (!tokens) return report(tokens.error());
  plan.bodies = make_bodies(flags, *tokens);
  plan.concurrency = flags.concurrency;
  plan.rate = flags.rate;
  plan.seed = flags.seed;
  if (::isatty(STDERR_FILENO)) {
    plan.progress = [&](std::size_t ended) {
      std::fprintf(stderr, "\r%zu of %u requests%s", ended, flags.requests, ended == flags.requests ? "\n" : "");
    };
  }
  const auto records = run_load(plan);
  if (!records) return report(records.error());
  const LoadSummary summary = summarise(*records, flags.slo);
  std::printf("%s\n", (flags.json ? to_json(summary) : to_text(summary, flags.slo)).c_str());
  return summary.failed == 0 ? kDone : kFailed;
}

}  // namespace

void add_bench_verb(CLI::App& app, int& status) {
  const auto flags = std::make_shared<BenchFlags>();
  CLI::App* verb = app.add_subcommand("bench", "Load a server and report TTFT, TPOT, ITL, E2E, attainment and goodput");
  add_option(*verb, "--url", flags->url, "The server");
  add_option(*verb, "--requests", flags->requests, "How many")->check(CLI::Range(1, 1000000));
  add_option(*verb, "--concurrency", flags->concurrency, "Closed loop: requests in flight")->check(CLI::Range(1, 10000));
  add_option(*verb, "--rate", flags->rate, "Open loop: Poisson arrivals a second, in place of --concurrency")->check(CLI::Range(0.0, 1e6));
  add_option(*verb, "--prompt-tokens", flags->prompt_tokens, "Of each prompt")->check(CLI::Range(1, 1000000));
  add_option(*verb, "--output-tokens", flags->output_tokens, "Of each answer")->check(CLI::Range(1, 1000000));
  add_option(*verb, "--temperature", flags->temperature, "0: greedy")->check(CLI::Range(0.0, 100.0));
  add_option(*verb, "--seed", flags->seed, "Of arrivals and sampling");
  add_option(*verb, "--ttft-ms", flags->slo.ttft_ms, "SLO on the time to the first token; 0: none");
  add_option(*verb, "--tpot-ms", flags->slo.tpot_ms, "SLO on the mean time per further token; 0: none");
  add_flag(*verb, "--json", flags->json, "One JSON object instead of text");
  verb->callback([flags, &status] { status = bench(*flags); });
}

}  // namespace baton::cli
