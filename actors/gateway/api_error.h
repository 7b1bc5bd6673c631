// An Error as a client sees it: status, OpenAI's JSON shape, Retry-After.
#pragma once

#include <string>

#include "runtime/base/result.h"

namespace baton::gateway {

unsigned http_status(const Error& error);
// {"error": {"message", "type", "param", "code"}}
std::string error_json(const Error& error);

inline Error bad_request(std::string parameter, std::string message) {
  return Error{ErrorCode::invalid_argument, Scope::request, std::move(message), std::move(parameter)};
}

}  // namespace baton::gateway
