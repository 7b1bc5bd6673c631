// Errors as values. A code says what happened, its scope what is affected and so who recovers, the message what the reader
// should do. The place that decides an error logs it, once; those above pass it on.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "runtime/base/check.h"

namespace baton {

enum class Scope : std::uint8_t { request, transfer, peer, instance, cluster };

enum class ErrorCode : std::uint16_t {
  // the request
  invalid_argument = 100,    // a parameter is wrong; Error::parameter names it
  context_length_exceeded,
  deadline_exceeded,
  cancelled,
  queue_full,                // come back after Error::retry_after_s
  unavailable,               // nobody of a suitable role lives
  unknown_model,
  unsupported,
  // the transfer
  transfer_failed = 200,
  lease_ended,
  digest_mismatch,
  // the peer
  model_mismatch = 300,
  version_mismatch,
  peer_unreachable,
  unauthorized,
  // the instance
  device_failed = 400,
  out_of_memory,
  // the node and its files
  invalid_config = 500,
  invalid_file,
  not_found,
  address_in_use,
  io_error,
  internal = 599,
};

const char* to_string(Scope scope);
const char* to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  Scope scope = Scope::request;
  std::string message;
  std::string parameter = {};     // of the request's body or the config key, where there is one
  std::uint32_t retry_after_s = 0;
  bool operator==(const Error&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Error& x) {
  return f(x.code, x.scope, x.message, x.parameter, x.retry_after_s);
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { check(); return std::get<0>(state_); }
  const T& value() const& { check(); return std::get<0>(state_); }
  T&& value() && { check(); return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { CHECK(!ok(), "error() of a value"); return std::get<1>(state_); }

 private:
  void check() const { CHECK(ok(), "value() of an error: {}", std::get<1>(state_).message); }
  std::variant<T, Error> state_;
};

struct Nothing {
  bool operator==(const Nothing&) const = default;
};
using Status = Result<Nothing>;
inline Status ok() { return Nothing{}; }

}  // namespace baton
