// Typed reading of a JSON object's fields: absent and null are the same, a wrong type or range is remembered as the first error.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "actors/gateway/api_error.h"

namespace baton::gateway {

class JsonFields {
 public:
  explicit JsonFields(const nlohmann::json& object) : object_(object) {}

  const nlohmann::json* find(const char* name) const {
    const auto it = object_.find(name);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }

  bool boolean(const char* name, bool fallback) {
    const auto* value = find(name);
    if (!value) return fallback;
    if (!value->is_boolean()) return fail(name, "must be true or false"), fallback;
    return value->get<bool>();
  }

  std::optional<std::int64_t> integer(const char* name, std::int64_t low, std::int64_t high) {
    const auto* value = find(name);
    if (!value) return std::nullopt;
    const double real = value->is_number_float() ? value->get<double>() : 0;
    const bool whole = value->is_number_integer() || (value->is_number_float() && std::trunc(real) == real && std::abs(real) < 0x1p63);
    if (!whole || (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))) {
      fail(name, fmt::format("must be a whole number from {} to {}", low, high));
      return std::nullopt;
    }
    const auto number = value->get<std::int64_t>();
    if (number < low || number > high) {
      fail(name, fmt::format("is {}; it must be from {} to {}", number, low, high));
      return std::nullopt;
    }
    return number;
  }

  std::optional<double> number(const char* name, double low, double high, bool low_excluded = false) {
    const auto* value = find(name);
    if (!value) return std::nullopt;
    if (!value->is_number()) {
      fail(name, "must be a number");
      return std::nullopt;
    }
    const double x = value->get<double>();
    if (!(low_excluded ? x > low : x >= low) || !(x <= high)) {
      fail(name, fmt::format("is {}; it must be {} {} and at most {}", x, low_excluded ? "above" : "at least", low, high));
      return std::nullopt;
    }
    return x;
  }

  std::optional<std::string> string(const char* name) {
    const auto* value = find(name);
    if (!value) return std::nullopt;
    if (!value->is_string()) {
      fail(name, "must be a string");
      return std::nullopt;
    }
    return value->get<std::string>();
  }

  void fail(const std::string& name, const std::string& what) {
    if (!error_) error_ = bad_request(name, fmt::format("{} {}", name, what));
  }
  void fail(Error error) {
    if (!error_) error_ = std::move(error);
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  const nlohmann::json& object_;
  std::optional<Error> error_;
};

}  // namespace baton::gateway
