#include "runtime/config/config_reader.h"

#include <algorithm>
#include <charconv>

#include "runtime/base/nearest.h"

namespace baton {
namespace {

constexpr std::int64_t kLongestMs = 7LL * 24 * 3600 * 1000;

// Whole, decimal, nothing before or after; too large for 64 bits counts as too large.
std::optional<std::uint64_t> whole_number(const std::string& word) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

bool is_host(const std::string& host) {
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
  });
}

// host, host:port, [IPv6]:port
std::optional<std::pair<std::string, std::optional<std::string>>> split_address(const std::string& word) {
  if (!word.empty() && word.front() == '[') {
    const std::size_t close = word.find(']');
    if (close == std::string::npos) return std::nullopt;
    const std::string rest = word.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    return std::make_pair(word.substr(1, close - 1), rest.empty() ? std::nullopt : std::optional{rest.substr(1)});
  }
  const std::size_t colon = word.find(':');
  if (colon == std::string::npos) return std::make_pair(word, std::nullopt);
  if (word.find(':', colon + 1) != std::string::npos) return std::nullopt;      // IPv6 without brackets
  return std::make_pair(word.substr(0, colon), std::optional{word.substr(colon + 1)});
}

}  // namespace

void ConfigErrors::add(const YAML::Mark& mark, const std::string& path, const std::string& message) {
  if (first) return;
  const std::string line = mark.is_null() ? "" : fmt::format("{}:", mark.line + 1);
  const std::string where = path.empty() ? "" : path + ": ";
  first = Error{ErrorCode::invalid_config, Scope::cluster, fmt::format("{}:{} {}{}", file, line, where, message), path};
}

ConfigReader::ConfigReader(ConfigErrors& errors, YAML::Node node, std::string path)
    : errors_(errors), node_(std::move(node)), path_(std::move(path)) {
  if (!node_.IsDefined()) return;
  if (!node_.IsMap()) {
    errors_.add(node_.Mark(), path_, "must be a mapping of keys to values");
    node_.reset();
    return;
  }
  std::vector<std::string> seen;
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (key.empty()) errors_.add(entry.first.Mark(), path_, "a key must be a word");
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) errors_.add(entry.first.Mark(), path_of(key), "is given twice");
    seen.push_back(key);
  }
}

// Const access: else yaml-cpp would note the key that was asked for.
YAML::Node ConfigReader::at(const char* key) const { return node_[key]; }

bool ConfigReader::has(const char* key) const { return there() && at(key).IsDefined(); }

YAML::Node ConfigReader::child(const char* key) {
  known_.emplace_back(key);
  if (!has(key)) return YAML::Node(YAML::NodeType::Undefined);
  if (!elsewhere_.empty() && !everywhere_) refuse(key, elsewhere_);
  return at(key);
}

void ConfigReader::refuse(const char* key, const std::string& message) {
  YAML::Mark mark = YAML::Mark::null_mark();
  if (there()) mark = node_.Mark();
  for (auto entry = node_.begin(); there() && entry != node_.end(); ++entry) {
    if (entry->first.IsScalar() && entry->first.Scalar() == key) mark = entry->first.Mark();
  }
  errors_.add(mark, path_of(key), message);
}

std::optional<std::string> ConfigReader::scalar(const char* key) {
  const YAML::Node value = child(key);
  if (!value.IsDefined()) return std::nullopt;
  if (!value.IsScalar()) {
    refuse(key, value.IsNull() ? "has no value; leave the key out for its default" : "must be a single value");
    return std::nullopt;
  }
  return value.Scalar();
}

void ConfigReader::text(const char* key, std::string& value, const std::string&) {
  if (std::optional<std::string> word = scalar(key)) value = std::move(*word);
}

void ConfigReader::flag(const char* key, bool& value, bool) {
  const std::optional<std::string> word = scalar(key);
  if (!word) return;
  if (*word != "true" && *word != "false") return refuse(key, fmt::format("must be true or false, not \"{}\"", *word));
  value = *word == "true";
}

void ConfigReader::number(const char* key, std::uint64_t& value, std::uint64_t, std::uint64_t least, std::uint64_t most) {
  const std::optional<std::string> word = scalar(key);
  if (!word) return;
  const std::optional<std::uint64_t> parsed = whole_number(*word);
  if (!parsed || *parsed < least || *parsed > most) {
    return refuse(key, fmt::format("must be a whole number from {} to {}, not \"{}\"", least, most, *word));
  }
  value = *parsed;
}

void ConfigReader::number(const char* key, std::uint32_t& value, std::uint32_t, std::uint32_t least, std::uint32_t most) {
  std::uint64_t wide = value;
  number(key, wide, std::uint64_t{0}, std::uint64_t{least}, std::uint64_t{most});
  value = static_cast<std::uint32_t>(wide);
}

void ConfigReader::number(const char* key, double& value, double, double least, double most) {
  const std::optional<std::string> word = scalar(key);
  if (!word) return;
  double parsed = 0;
  const char* last = word->data() + word->size();
  const auto [end, error] = std::from_chars(word->data(), last, parsed);
  if (error != std::errc{} || end != last || !(parsed >= least && parsed <= most)) {
    return refuse(key, fmt::format("must be a number from {} to {}, not \"{}\"", least, most, *word));
  }
  value = parsed;
}

void ConfigReader::milliseconds(const char* key, Duration& value, Duration) {
  std::uint64_t count = 0;
  number(key, count, std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{kLongestMs});
  if (count > 0) value = Milliseconds{static_cast<std::int64_t>(count)};
}

void ConfigReader::address(const char* key, HostPort& value, const HostPort&, bool port_needed, bool port_may_be_0) {
  const std::optional<std::string> word = scalar(key);
  if (!word) return;
  const auto parts = split_address(*word);
  const char* form = port_needed ? "host:port" : "host or host:port";
  if (!parts || !is_host(parts->first) || (port_needed && !parts->second)) {
    return refuse(key, fmt::format("must be {} ([address]:port for IPv6), not \"{}\"", form, *word));
  }
  HostPort parsed{.host = parts->first};
  if (parts->second) {
    const std::optional<std::uint64_t> port = whole_number(*parts->second);
    if (!port || *port > 65535 || (*port == 0 && !port_may_be_0)) {
      return refuse(key, fmt::format("port must be from {} to 65535, not \"{}\"", port_may_be_0 ? 0 : 1, *parts->second));
    }
    parsed.port = static_cast<std::uint16_t>(*port);
  }
  value = std::move(parsed);
}

void ConfigReader::bad_choice(const char* key, const std::string& word, const std::vector<std::string>& known) {
  refuse(key, fmt::format("must be one of {}, not \"{}\"{}", fmt::join(known, ", "), word,
                          nearest_word(word, known).empty() ? "" : suggestion(word, known)));
}

void ConfigReader::finish() {
  if (!there()) return;
  for (const auto& entry : node_) {
    const std::string key = entry.first.Scalar();
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      errors_.add(entry.first.Mark(), path_of(key), "unknown key" + suggestion(key, known_));
    }
  }
}

}  // namespace baton
