// The verbs of the program, one file each (verb_*.cc). A verb adds its subcommand and its flags; every flag --some-flag can also be
// given as BATON_SOME_FLAG. Its callback sets the exit status: 0 done, 1 it failed, 2 it was asked for something impossible
// (a node: it could not start).
#pragma once

#include <CLI/CLI.hpp>

#include <cctype>
#include <string>

#include "runtime/base/result.h"

namespace baton::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kMisused = 2;

using AddVerb = void (*)(CLI::App& app, int& status);

void add_serve_verb(CLI::App& app, int& status);
void add_node_verb(CLI::App& app, int& status);
void add_keys_verb(CLI::App& app, int& status);
void add_version_verb(CLI::App& app, int& status);
void add_bench_verb(CLI::App& app, int& status);
void add_doctor_verb(CLI::App& app, int& status);
void add_simulate_verb(CLI::App& app, int& status);
void add_plan_verb(CLI::App& app, int& status);

inline constexpr AddVerb kVerbs[] = {add_serve_verb, add_node_verb, add_bench_verb,  add_simulate_verb,
                                     add_plan_verb,  add_keys_verb, add_doctor_verb, add_version_verb};

// --hand-off -> BATON_HAND_OFF
inline std::string variable_of(const std::string& flag) {
  std::string name = "BATON_";
  for (const char c : flag.substr(2)) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}
// Of the --model that names a profile: BATON_MODEL names a file to serve.
inline constexpr const char* kProfileModelVariable = "BATON_PROFILE_MODEL";

template <class T>
CLI::Option* add_option(CLI::App& verb, const std::string& flag, T& value, const std::string& help) {
  return verb.add_option(flag, value, help)->envname(variable_of(flag))->capture_default_str();
}
inline CLI::Option* add_flag(CLI::App& verb, const std::string& flag, bool& value, const std::string& help) {
  return verb.add_flag(flag, value, help)->envname(variable_of(flag));
}
CLI::Option* add_log_option(CLI::App& verb, std::string& level);

// "baton 0.1.0" and what it is built on, a line each.
std::string version_text();

// "error: ..." on stderr, and the exit status for it.
int report(const Error& error);

}  // namespace baton::cli
