// An Error as a client sees it: status, OpenAI's JSON shape, Retry-After.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/result.h"

namespace baton::gateway {

unsigned http_status(const Error& error);
// {"error": {"message", "type", "param", "code"}}
std::string error_json(const Error& error);
// What a client sent, as far as an error repeats it: whole characters, about `most` bytes.
std::string excerpt(std::string_view text, std::size_t most = 100);

Error unknown_model(std::string_view name, const std::string& served);

inline Error bad_request(std::string parameter, std::string message) {
  return Error{ErrorCode::invalid_argument, Scope::request, std::move(message), std::move(parameter)};
}

}  // namespace baton::gateway
